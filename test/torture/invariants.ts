import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { RecordedEvent } from '../../src/domain/event.js';
import type { RunReport } from '../../src/domain/run.js';
import type { Verdict } from '../../src/domain/verdict.js';
import { readIfThere } from '../../src/host/files.js';
import type { Layout } from '../../src/host/paths.js';
import { processesWithVariable } from '../../src/host/process.js';
import { readRunReport, runFiles } from '../../src/records/artifacts.js';
import { createStreamParser } from '../../src/stream/parser.js';
import type { PlannedRun } from './plan.js';
import { expectedLog } from './profiles.js';

/** Something that must never be and is. */
export interface Broken {
  readonly invariant: string;
  readonly run: string;
  readonly detail: string;
}

/** One run that has ended, as its workflow and its installers tell of it. */
export interface EndedRun {
  readonly planned: PlannedRun;
  readonly run: string;
  /** What the workflow says of it. */
  readonly result: RunReport;
  /** The homes of every host that may have had it. */
  readonly homes: readonly Layout[];
  /** Where its installers and heals wrote down that they ran. */
  readonly records: string;
}

const PLAIN: Readonly<Record<PlannedRun['kind'], Verdict>> = { counted: 'passed', healed: 'healed', failed: 'failed' };
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** What is broken of all that must hold for a run that has ended. */
export async function checkRun(ended: EndedRun): Promise<Broken[]> {
  const found: Broken[] = [];
  const say = (invariant: string, detail: string) => found.push({ invariant, run: ended.run, detail });
  await checkVerdict(ended, say);
  await checkSideEffects(ended, say);
  const home = await homeOf(ended);
  if (!home) return found;
  for (let attempt = 1; attempt <= ended.result.attempts; attempt++) await checkLog(ended, home, attempt, say);
  const leases = await readdir(path.join(runFiles(home.runs, ended.run).folder, 'lease')).catch(() => []);
  if (leases.length > 1) say('one owner', `leases ${leases.join(', ')}`);
  return found;
}

/**
 * The home that has a run's log: of the host on which it ended; where that was lost when the log was complete, of the one before.
 * Undefined where the run never had a host.
 */
async function homeOf({ homes, run, result }: EndedRun): Promise<Layout | undefined> {
  if (result.host === undefined) return undefined;
  const ids = await Promise.all(homes.map((home) => readIfThere(path.join(home.home, 'host-id'))));
  const last = homes.find((_, index) => ids[index]?.trim() === result.host);
  const hasLog = ({ runs }: Layout) => existsSync(runFiles(runs, run).attempt(1).log);
  return hostsLost(result) > 0 && last && !hasLog(last) ? homes.find(hasLog) : last;
}

type Say = (invariant: string, detail: string) => void;

/** Nothing that happens to the bench changes a verdict; what happens to the run itself may. */
async function checkVerdict({ planned, run, result, homes }: EndedRun, say: Say): Promise<void> {
  const allowed: (Verdict | null)[] = [PLAIN[planned.kind]];
  if (planned.cancelAfterMs !== undefined) allowed.push('cancelled');
  if (planned.killGuestAfterMs !== undefined) allowed.push('failed', 'healed', 'error');
  if (!allowed.includes(result.verdict)) {
    say('the verdict', `${String(result.verdict)} instead of ${allowed.join(' or ')}: ${result.fault?.message ?? ''}`);
  }
  const recorded = (await Promise.all(homes.map(({ runs }) => readRunReport(runs, run)))).flatMap((report) =>
    report && report.verdict !== null ? [report.verdict] : [],
  );
  // One that was cancelled before it had a host has nothing on record.
  if (recorded.length === 0 && result.host === undefined) return;
  if (recorded.length !== 1 || recorded[0] !== result.verdict)
    say('one verdict', `${recorded.join(', ') || 'none'} on disk, ${String(result.verdict)} from the workflow`);
}

/** On how many hosts a run was begun in vain. */
export function hostsLost({ notes }: RunReport): number {
  return notes.filter((note) => /^host \S+ was lost while/.test(note)).length;
}

async function checkSideEffects({ run, result, records }: EndedRun, say: Say): Promise<void> {
  const linesOf = async (kind: string) =>
    ((await readIfThere(path.join(records, `${run}.${kind}`))) ?? '').split('\n').filter((line) => line !== '');
  const starts = await linesOf('starts');
  if (new Set(starts).size !== starts.length) say('an installer starts once', starts.join(', '));
  // Each host that was lost may have had it as often as the one it ended on.
  const lost = hostsLost(result) > 0;
  if (!lost && starts.length > result.attempts)
    say('an installer starts once', `${starts.length} in ${result.attempts} attempts`);
  const heals = await linesOf('heals');
  // The one that was on trial when the run was cancelled came to nothing that could be told.
  const told = result.heals.length + (result.verdict === 'cancelled' ? 1 : 0);
  if (!lost && heals.length > told) say('a heal runs once', `${heals.length} of ${result.heals.length}`);
  if (result.verdict === 'healed' && heals.length === 0) say('a heal runs once', 'it never ran');
}

/** No byte is missing or double: what is on disk is what was printed, as far as it was followed. */
async function checkLog({ planned, run, result }: EndedRun, home: Layout, attempt: number, say: Say): Promise<void> {
  const files = runFiles(home.runs, run).attempt(attempt);
  const log = await readFile(files.log).catch(() => Buffer.alloc(0));
  const expected = Buffer.from(expectedLog(planned, run, attempt));
  const undisturbed = planned.cancelAfterMs === undefined && planned.killGuestAfterMs === undefined;
  // Where the first attempt was killed, another may be the one that fails as the first was to.
  const possible = [expected, Buffer.from(expectedLog(planned, run, 1))];
  const begins = possible.some((whole) => whole.subarray(0, log.length).equals(log));
  if (undisturbed ? !log.equals(expected) : !begins)
    say('the log', `attempt ${attempt}: ${log.length} bytes, ${expected.length} were printed`);
  if (attempt !== result.attempts || !undisturbed) return;
  if (result.log.sha256 !== sha256(expected)) say('the log', `its SHA-256 is ${result.log.sha256}`);
  if (!result.log.verified) say('the log', "it was not compared with the guest's");
  const parser = createStreamParser();
  const wanted = [...parser.push(log), ...parser.end()];
  const text = (await readIfThere(files.events)) ?? '';
  const events = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { at, ...event } = JSON.parse(line) as RecordedEvent;
      return at > 0 ? event : undefined;
    });
  if (!isDeepStrictEqual(events, wanted)) say('the events', `attempt ${attempt}: not those of its log`);
}

/** What is left on the hosts when every run has ended. */
export async function checkHosts(homes: readonly Layout[], runs: ReadonlySet<string>): Promise<Broken[]> {
  const folders = await Promise.all(
    homes.map(async ({ machines }) => (await readdir(machines).catch(() => [])).map((run) => ({ machines, run }))),
  );
  const left = await Promise.all(
    folders.flat().map(async ({ machines, run }) => {
      const files = await readdir(path.join(machines, run), { recursive: true }).catch(() => []);
      return { run, detail: `its machine: ${files.slice(0, 8).join(', ') || 'an empty folder'}` };
    }),
  );
  const processes = await processesWithVariable('NIXPROOF_MACHINE', (id) => runs.has(id));
  return [
    ...left.map((machine) => ({ invariant: 'nothing is left', ...machine })),
    ...processes.map(({ identity, value }) => ({
      invariant: 'nothing is left',
      run: value,
      detail: `process ${identity.pid}`,
    })),
  ];
}
