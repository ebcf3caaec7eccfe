import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, NixproofError } from '../domain/error.js';
import type { Check } from '../domain/profile.js';
import type { CheckResult } from '../domain/run.js';
import { openConnection } from '../machines/connection.js';
import type { Connection, ExecResult, Machine, Work } from '../machines/machine.js';
import { ReadingBrokenOff, readInThread } from '../diagnosis/pool.js';
import { visibleText } from '../stream/text.js';
import { runShell, type ShellResult } from './shell.js';

/** A check's own time. */
const CHECK_MS = 2 * 60_000;
/** Services may still be starting when the first login works. */
const SETTLE_MS = 90_000;
/**
 * Time for a unit that nothing has started yet: one that a device or a timer starts comes after the
 * system counts as running.
 */
const INACTIVE_MS = 10_000;
/** So long, for all checks together, a way in that fails is tried again: a moment of the host's network is no answer of the system. */
const LOGIN_RETRY_MS = 60_000;
const PAUSE_MS = 500;
const CANNOT_CONNECT: ReadonlySet<string> = new Set(['TRANSPORT_REFUSED', 'TRANSPORT_TIMEOUT', 'TRANSPORT_LOST']);
/** So often a check may lose its connection before that is taken for its own doing. */
const LOST = 2;
/** How long a pattern may look for itself in an output. */
const MATCH_MS = 10_000;
const DETAIL_CHARS = 300;

/** How checks log in, and what is left of the time for which a way in that fails is tried again. */
interface LoginRetries {
  leftMs: number;
  readonly open: typeof openConnection;
}

/** A text of the machine as it may be shown. */
type Show = (text: string) => string;

/** What may be set for all checks together. */
export interface VerifyOptions {
  /**
   * How long all of them may take, milliseconds; what has not ended by then is red. Default: no
   * limit.
   */
  readonly limitMs?: number;
  /** How long a way in that fails is tried again, milliseconds. */
  readonly loginRetryMs?: number;
  /** Logs in as somebody else; default: `openConnection`. */
  readonly open?: typeof openConnection;
  /** Takes secrets out of what results show; what is judged has them. Default: there are none. */
  readonly show?: Show;
}

type Seen = Pick<CheckResult, 'status' | 'detail'>;

/**
 * Runs the checks in their order: those behind a `reboot` see the rebooted system. A check that cannot be run is red; one whose connection
 * is lost is run again, as all are where a worker dies.
 */
export async function verify(
  machine: Machine,
  checks: readonly Check[],
  work: Work,
  { limitMs, loginRetryMs = LOGIN_RETRY_MS, open = openConnection, show = (text) => text }: VerifyOptions = {},
): Promise<CheckResult[]> {
  const late = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
  const limited: Work = late ? { ...work, signal: AbortSignal.any([work.signal, late]) } : work;
  const retries: LoginRetries = { leftMs: loginRetryMs, open };
  const results: CheckResult[] = [];
  for (const check of checks) {
    work.progress(`check: ${check.name}`);
    const started = performance.now();
    const seen = await outcomeOf(machine, check, limited, retries, show).catch((error: unknown): Seen => {
      work.signal.throwIfAborted();
      if (late?.aborted !== true) throw error;
      return { status: 'fail', detail: 'it had not ended when the time of timeouts.checks was used up' };
    });
    // Without what divided it in the answer, a secret may be whole now.
    const detail = show(visibleText(seen.detail));
    results.push({ name: check.name, ...seen, detail, durationMs: Math.round(performance.now() - started) });
  }
  return results;
}

async function outcomeOf(machine: Machine, check: Check, work: Work, retries: LoginRetries, show: Show): Promise<Seen> {
  for (let lost = 0; ;) {
    const began = performance.now();
    let connected = false;
    try {
      work.signal.throwIfAborted();
      if (check.kind === 'reboot') return await reboot(machine, check.times, work);
      await using own = check.login && (await loginAs(machine, check.login, retries.open, work));
      const connection = own ?? (await machine.connect(work));
      connected = true;
      return await perform(connection, check, work, show);
    } catch (error) {
      work.signal.throwIfAborted();
      // A login or command that fails is the system's answer; a machine that has gone is the bench's business.
      if (!(error instanceof NixproofError) || !error.code.startsWith('TRANSPORT_')) throw error;
      if (connected) lost += 1;
      const again = connected ? error.code === 'TRANSPORT_LOST' && lost <= LOST : CANNOT_CONNECT.has(error.code);
      if (check.kind === 'reboot' || !again || retries.leftMs <= 0) {
        return { status: 'fail', detail: show(error.message).slice(0, DETAIL_CHARS) };
      }
      work.progress(`check: ${check.name}: trying again: ${error.message}`);
      await delay(PAUSE_MS);
      retries.leftMs -= connected ? PAUSE_MS : performance.now() - began;
    }
  }
}

async function loginAs(
  machine: Machine,
  login: NonNullable<Check['login']>,
  open: typeof openConnection,
  { signal }: Work,
): Promise<Connection> {
  return open({ ...(await machine.endpoint()), user: login.user, keyFile: login.key }, { signal });
}

async function reboot(machine: Machine, times: number, work: Work): Promise<Seen> {
  for (let count = 1; count <= times; count++) {
    work.progress(`reboot ${count} of ${times}`);
    try {
      await machine.reboot(work);
    } catch (error) {
      if (!hasCode(error, 'MACHINE_NEVER_BOOTED')) throw error;
      return { status: 'fail', detail: `reboot ${count} of ${times}: ${error.message}` };
    }
  }
  return { status: 'pass', detail: times === 1 ? 'came back' : `came back ${times} times` };
}

async function perform(
  connection: Connection,
  check: Exclude<Check, { kind: 'reboot' }>,
  work: Work,
  show: Show,
): Promise<Seen> {
  // An answer is judged as it is: a secret in it is what the check may look for.
  const limits = { signal: work.signal, timeoutMs: CHECK_MS, raw: true };
  const exec = (script: string, ...args: readonly string[]) =>
    connection.exec(['sh', '-c', script, 'sh', ...args], limits);
  switch (check.kind) {
    case 'run': {
      const result = await runShell(connection, check.run, limits);
      return withLeft(await judge(result, check, work.signal, show), result, show);
    }
    case 'service':
      return settled(exec, show, 'systemctl is-active -- "$1"', check.service);
    case 'units':
      // `degraded` is a failed unit; `starting` is waited for, as systemctl(1) `--wait` does from systemd 240 on.
      return settled(
        exec,
        show,
        'state=$(systemctl is-system-running --wait); failed=$(systemctl list-units --failed --plain --no-legend --no-pager | cut -d" " -f1 | tr "\\n" " "); echo "$state $failed"; [ "$state" = running ]',
      );
  }
}

/** Asks again while a unit is on its way up; the last answer counts. */
async function settled(
  exec: (script: string, ...args: string[]) => Promise<ExecResult>,
  show: Show,
  script: string,
  ...args: string[]
): Promise<Seen> {
  const began = performance.now();
  for (;;) {
    const result = await exec(script, ...args);
    const answer = result.stdout.trim();
    if (result.exitCode === 0) return { status: 'pass', detail: oneLine(show(answer)) };
    if (performance.now() - began > patienceFor(answer)) {
      return { status: 'fail', detail: oneLine(show(answer || result.stderr)) };
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** How long an answer of systemctl may change yet, milliseconds. */
function patienceFor(answer: string): number {
  if (/^(activating|starting|initializing|reloading)/.test(answer)) return SETTLE_MS;
  return answer.startsWith('inactive') ? INACTIVE_MS : 0;
}

/** What a check leaves running is no failure of it. */
function withLeft({ status, detail }: Seen, { left }: ShellResult, show: Show): Seen {
  if (left.length === 0) return { status, detail };
  const still = `still running: ${show(left.join(', '))}`;
  return { status, detail: oneLine(detail === '' ? still : `${detail}; ${still}`) };
}

async function judge(
  result: Pick<ExecResult, 'exitCode' | 'stdout' | 'stderr'>,
  check: Extract<Check, { kind: 'run' }>,
  signal: AbortSignal,
  show: Show,
): Promise<Seen> {
  const output = result.stdout.trim();
  const failed = (why: string): Seen => ({ status: 'fail', detail: oneLine(why) });
  const passed: Seen = { status: 'pass', detail: oneLine(show(output)) };
  const got = () => `got ${JSON.stringify(show(output || result.stderr.trim()))}`;
  if (check.expect !== undefined) {
    const expected = check.expect.trim();
    return output === expected ? passed : failed(`expected ${JSON.stringify(expected)}, ${got()}`);
  }
  if (check.match !== undefined) {
    const found = await isMatch(check.match, output, signal);
    if (found instanceof ReadingBrokenOff) return failed(`/${check.match}/ was not found out: ${found.message}`);
    return found ? passed : failed(`expected /${check.match}/, ${got()}`);
  }
  return result.exitCode === 0
    ? passed
    : failed(`exit status ${result.exitCode}: ${show(result.stderr.trim() || output)}`);
}

async function isMatch(pattern: string, text: string, signal: AbortSignal): Promise<boolean | ReadingBrokenOff> {
  try {
    return await readInThread('matches', { pattern, text }, { signal, budgetMs: MATCH_MS });
  } catch (error) {
    if (error instanceof ReadingBrokenOff) return error;
    throw error;
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, DETAIL_CHARS);
}
