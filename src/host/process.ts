import { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import { NixproofError } from '../domain/error.js';
import { hostErrorOf } from './errno.js';
import { passFence } from './fence.js';
import { isErrno } from './files.js';

/**
 * Names one process for good: a pid alone is used again after its owner's death, so it goes with the kernel's start time.
 * (Linux: field 22 of /proc/PID/stat, proc(5); elsewhere `ps -o lstart=`.)
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

/** The identity of a living process, or undefined where there is none (a zombie counts as dead). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const startedAt = process.platform === 'linux' ? await startTicks(pid) : await psStart(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startedAt === identity.startedAt;
}

async function startTicks(pid: number): Promise<string | undefined> {
  const fields = await statFields(pid);
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

/** The fields of /proc/PID/stat from the third, the state, on (proc(5)); undefined where there is no such process. */
export async function statFields(pid: number): Promise<readonly string[] | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may hold spaces and parentheses itself: count from the last one.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return undefined;
    throw error;
  }
}

/** The command line of a process, for people; undefined where there is no such process. */
export async function commandLine(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return line.split('\0').join(' ').trim() || undefined;
  }
  const { execa } = await import('execa');
  const { stdout } = await execa('ps', ['-o', 'args=', '-p', String(pid)], { reject: false });
  return stdout.trim() || undefined;
}

async function psStart(pid: number): Promise<string | undefined> {
  const { execa } = await import('execa');
  const { stdout, exitCode } = await execa('ps', ['-o', 'lstart=', '-p', String(pid)], { reject: false });
  return exitCode === 0 && stdout.trim() !== '' ? stdout.trim() : undefined;
}

/**
 * Ends a process: SIGTERM, then SIGKILL after `graceMs`. Resolves when it is gone; does nothing where it is gone already.
 */
export async function terminate(identity: ProcessIdentity, graceMs = 5000): Promise<void> {
  if (!(await isAlive(identity))) return;
  signalIfThere(identity.pid, 'SIGTERM');
  if (await waitUntil(async () => !(await isAlive(identity)), graceMs)) return;
  signalIfThere(identity.pid, 'SIGKILL');
  await waitUntil(async () => !(await isAlive(identity)), 5000);
}

async function processIds(): Promise<readonly number[]> {
  const entries = await readdir('/proc').catch(() => []);
  return entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
}

/** Every living process whose environment holds `NAME=value`: how a tree of processes is found after it daemonised (Linux). */
export async function processesWithEnvironment(name: string, value: string): Promise<ProcessIdentity[]> {
  const found = await processesWithVariable(name, (set) => set === value);
  return found.map(({ identity }) => identity);
}

/** Every living process whose environment holds the variable with a value that is wanted, and that value (Linux). */
export async function processesWithVariable(
  name: string,
  isWanted: (value: string) => boolean,
): Promise<{ readonly identity: ProcessIdentity; readonly value: string }[]> {
  const found: { identity: ProcessIdentity; value: string }[] = [];
  for (const [pid, value] of await valuesOf(name)) {
    const identity = isWanted(value) ? await identify(pid) : undefined;
    if (identity) found.push({ identity, value });
  }
  return found;
}

type Values = ReadonlyMap<number, string>;
/** Walks that have not begun, by the variable's name, and the last that was asked for. */
const walks = new Map<string, Promise<Values>>();
let lastWalk: Promise<unknown> = Promise.resolve();

/** One walk over all processes answers everyone who asks before it begins: hundreds of machines may end at once. */
function valuesOf(name: string): Promise<Values> {
  const waiting = walks.get(name);
  if (waiting) return waiting;
  const walk = lastWalk.then(() => {
    walks.delete(name);
    return walkEnvironments(name);
  });
  walks.set(name, walk);
  lastWalk = walk.catch(() => undefined);
  return walk;
}

/** So many processes are read in one go: some milliseconds. */
const AT_ONCE = 100;

async function walkEnvironments(name: string): Promise<Values> {
  const values = new Map<number, string>();
  for (const [index, pid] of (await processIds()).entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
    const variable = environmentOf(pid).find((text) => text.startsWith(`${name}=`));
    if (variable !== undefined) values.set(pid, variable.slice(name.length + 1));
  }
  return values;
}

/** Read in place: a file of /proc is there at once, and through Node's threads it costs five times as much. */
function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** A living process that was started with these arguments one after the other, whoever started it (Linux). */
export async function processWithArguments(args: readonly string[]): Promise<ProcessIdentity | undefined> {
  const wanted = `\0${args.join('\0')}\0`;
  for (const pid of await processIds()) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(wanted)) return identify(pid);
  }
  return undefined;
}

export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/** Polls a condition until it holds or the deadline passes; tells which. */
export async function waitUntil(
  condition: () => Promise<boolean>,
  deadlineMs: number,
  { everyMs = 50, signal }: { everyMs?: number; signal?: AbortSignal } = {},
): Promise<boolean> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    if (await condition()) return true;
    if (performance.now() >= end) return false;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

const GROUP_GRACE_MS = 3000;
/**
 * Milliseconds for the rest of a command's output to arrive after it ended, if a child of it still
 * holds its streams open.
 */
const LAST_OUTPUT_MS = 250;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array | Readable;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** The code of the error thrown where the command fails; `HOST_COMMAND_FAILED` unless given. */
  readonly code?: `HOST_${string}` | `MACHINE_${string}`;
  readonly hint?: string;
  /**
   * For a command that, told to stop, waits for children that were not told: it gets a process group of its own, and the
   * signal and the time limit end the whole group.
   */
  readonly group?: boolean;
  /** Told every line of standard error as it comes: where long commands say what they are doing. */
  readonly onLine?: (line: string) => void;
}

/** Ends the output of a command that has ended, though a child of it still holds it open. */
function endOutput(output: Readable): void {
  // Behind the next look for input: however busy this process was, what is in the pipe comes first.
  const timer = setTimeout(() => setImmediate(() => output.destroy()), LAST_OUTPUT_MS);
  output.once('close', () => clearTimeout(timer));
}

/**
 * Runs a command of the host to its end and gives its standard output; a child that it leaves behind
 * is not waited for. The one way host commands are run.
 * @throws NixproofError `HOST_TOOL_MISSING` if there is no such program; `HOST_PERMISSION`,
 * `HOST_OPEN_FILES` if it cannot be started; `options.code` with the end of its standard error if it
 * fails or takes longer than `timeoutMs`
 */
export async function runCommand(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  await passFence();
  // Most commands start no process: its hundred modules would be for nothing.
  const { execa } = await import('execa');
  requireDescriptors();
  options.signal?.throwIfAborted();
  const running = execa(file, args, execaOptions(options));
  const settled = endWith(running, options);
  running.once('exit', () => [running.stdout, running.stderr].forEach(endOutput));
  if (options.onLine) createInterface({ input: running.stderr }).on('line', options.onLine);
  const result = await running;
  settled();
  if (!result.failed) return result.stdout;
  throw failureOf([file, ...args], result, options);
}

/**
 * Ends a command when its signal is aborted. execa's own `cancelSignal` also signals a command that
 * could not be started: its handle names no process then, and Node signals whichever number it
 * holds, often 0, which is this process and everything of its group (kill(2)).
 * @returns what is to be called when the command has ended
 */
function endWith(
  running: { readonly pid?: number | undefined; kill(): boolean },
  { signal, group, timeoutMs }: Pick<RunOptions, 'signal' | 'group' | 'timeoutMs'>,
): () => void {
  const end = () => {
    const { pid } = running;
    if (pid === undefined) return;
    if (!group) {
      running.kill();
      return;
    }
    signalIfThere(-pid, 'SIGTERM');
    setTimeout(() => signalIfThere(-pid, 'SIGKILL'), GROUP_GRACE_MS).unref();
  };
  signal?.addEventListener('abort', end, { once: true });
  const limit = group && timeoutMs !== undefined ? setTimeout(end, timeoutMs) : undefined;
  return () => {
    clearTimeout(limit);
    signal?.removeEventListener('abort', end);
  };
}

/** A command of the host that runs. */
export interface RunningCommand {
  /** Its standard output as it comes. Destroying it ends the command. */
  readonly stream: Readable;
  /** Settles when the command has ended; rejected as `runCommand` is. */
  readonly ended: Promise<void>;
}

/** Starts a command of the host whose standard output is too long to be held. */
export async function streamCommand(
  file: string,
  args: readonly string[],
  options: Omit<RunOptions, 'group' | 'onLine'>,
): Promise<RunningCommand> {
  await passFence();
  const { execa } = await import('execa');
  requireDescriptors();
  options.signal?.throwIfAborted();
  const running = execa(file, args, { ...execaOptions(options), buffer: { stdout: false } });
  const settled = endWith(running, options);
  // Read at once: execa drops what comes before there is a reader.
  const stream = running.stdout.pipe(new PassThrough());
  stream.once('close', () => running.stdout.destroy());
  const ended = running.then((result) => {
    settled();
    if (result.failed) throw failureOf([file, ...args], result, options);
  });
  // The reader of the stream asks for its end later.
  ended.catch(() => undefined);
  return { stream, ended };
}

/** File descriptors that starting a command takes for a moment, generously. */
const DESCRIPTORS = 8;

/**
 * Asks for the descriptors of a command before it is started: without them Node leaves the child half
 * made, execa fails on that, and the child's own error ends this process (nodejs/node#14166).
 * @throws NixproofError `HOST_OPEN_FILES`
 */
function requireDescriptors(): void {
  const open: number[] = [];
  try {
    while (open.length < DESCRIPTORS) open.push(openSync('/dev/null', 'r'));
  } catch (error) {
    throw hostErrorOf(error) ?? error;
  } finally {
    open.forEach((descriptor) => closeSync(descriptor));
  }
}

function execaOptions(options: RunOptions) {
  return {
    reject: false,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    stdout: 'pipe',
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    // A group's end is ours: execa would end its first process alone.
    ...(options.timeoutMs === undefined || options.group ? {} : { timeout: options.timeoutMs }),
    ...(options.group ? { detached: true } : {}),
  } as const;
}

interface FailedCommand {
  readonly code?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly stdout?: string | undefined;
  readonly stderr: string;
  readonly shortMessage?: string | undefined;
  readonly originalMessage?: string | undefined;
}

function failureOf(command: readonly string[], result: FailedCommand, options: RunOptions): unknown {
  if (options.signal?.aborted) return options.signal.reason;
  const [file = ''] = command;
  if (result.code === 'ENOENT') {
    return new NixproofError('HOST_TOOL_MISSING', `${file} is not installed`, {
      hint: options.hint ?? 'run `nixproof doctor` to see what is missing and how to get it',
      details: { tool: file },
    });
  }
  const refused = hostErrorOf(
    Object.assign(new Error(`${file}: ${result.originalMessage ?? ''}`), { code: result.code }),
  );
  if (refused) return refused;
  const tail = (result.stderr || result.stdout || '').trim().split('\n').slice(-5).join('\n');
  return new NixproofError(options.code ?? 'HOST_COMMAND_FAILED', `${file} failed: ${tail || result.shortMessage}`, {
    details: { command: command.join(' '), exitCode: result.exitCode ?? -1 },
    ...(options.hint === undefined ? {} : { hint: options.hint }),
    cause: result,
  });
}
