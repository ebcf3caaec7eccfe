import type { Readable } from 'node:stream';
import { barrierOf, type AttemptEnd, type AttemptOutcome, type AttemptRef } from '../../domain/attempt.js';
import type { InstallProgress, PhaseCheckpoint } from '../../domain/attempt.js';
import type { Diagnosis } from '../../domain/diagnosis.js';
import { NixproofError } from '../../domain/error.js';
import { withEnd } from '../../diagnosis/end-diagnosis.js';
import type { TemplatesState } from '../../diagnosis/templates.js';
import type { Installation } from '../../domain/profile.js';
import type { LogSummary } from '../../domain/run.js';
import { writeWhole } from '../../host/files.js';
import { guestAttempt, killInstaller, type GuestAttempt } from '../../installers/installer.js';
import type { Connection, GuestConsole, Machine, Work } from '../../machines/machine.js';
import type { AttemptFiles } from '../../records/artifacts.js';
import { diagnoseFailed } from './diagnose-attempt.js';
import { endOf, lookAt, type GuestState, type Shell } from './guest-state.js';
import { openRecording, type LogPart, type Recording } from './recording.js';
import type { Redactor } from '../../secrets/redactor.js';
import { stalledProcesses } from './stalled-processes.js';
import { watchSystem } from '../../metrics/system-watch.js';

export interface Following {
  readonly machine: Machine;
  /** The machine that is installed: the same, or another one, or one that is away. */
  readonly target: Machine | undefined;
  readonly attempt: AttemptRef;
  readonly install: Installation;
  readonly files: AttemptFiles;
  readonly work: Work;
  /**
   * Done while the installer waits at the beginning of a phase, before it may go on; done again where nobody knows whether it was.
   */
  readonly onBarrier: (barrier: number, phase: string) => Promise<void>;
  /** Done once it has gone on from there; done again likewise. */
  readonly onReleased: (phase: string) => Promise<void>;
  /** Templates of the lines that this installer prints when it succeeds, for the diagnosis of one that fails. */
  readonly successBaseline: () => Promise<TemplatesState | undefined>;
  /** Masks the secrets in the log; absent: there are none. */
  readonly redactor?: Redactor;
  /** Told about every second, and at every change of phase. */
  readonly onProgress: (progress: InstallProgress) => void;
}

/** Checkpoints and heartbeats. */
const TICK_MS = 1000;
/** So often silence is saved, where nothing else is to be. */
const SILENCE_SAVED_MS = 30_000;
/** A checkpoint that took long, as beside hundreds of others, is not made again so soon: less is read again than is saved. */
const CHECKPOINT_REST = { times: 20, mostMs: 10_000 };
/** So long a lost connection to a machine that still runs is tried again before the step is given up. */
const RECONNECT_MS = 60_000;
/** After so long without SSH the console is asked. */
const CONSOLE_MS = 15_000;
/** Bytes of a log that are fetched at a time through a console. */
const CONSOLE_BYTES = 48 * 1024;
/** Prints $3 bytes of the file $1 from byte $2, the first of which is 1. */
const REST = 'tail -c +"$2" "$1" | head -c "$3"';
/** Maximum reads of the end of a log that still grows after its installer has ended. */
const MOST_DRAINS = 3;
/** Timeout of the guest's sum of its log. */
const SUM_MS = 10 * 60_000;

/**
 * Copies the installer's log from the guest as it grows, until the installer has ended and every byte is here. The end of a
 * stream is never taken for the installer's end: its status file is. Called again after a crash it goes on at the last
 * checkpoint.
 * @throws NixproofError `MACHINE_GONE`, `TRANSPORT_*`
 */
export async function followInstaller(following: Following): Promise<AttemptOutcome> {
  const { machine, attempt, files, work } = following;
  const guest = guestAttempt(machine, attempt.guest);
  await using recording = await openRecording(files, Date.now, following.install.maxLogBytes, following.redactor);
  const watch = startWatch(following, recording);
  const system = watchSystem({ ...following, file: files.system });
  try {
    let lostSince: number | undefined;
    let seen: LastSeen = { barrier: 0, left: [] };
    for (;;) {
      work.signal.throwIfAborted();
      try {
        const connection = await machine.connect(work);
        system.through(connection);
        const state = await lookAt(connection, guest);
        lostSince = undefined;
        seen = state;
        const end = endOf(state, recording, watch.overdue());
        if (end) {
          const told = await stopOverdue(following, guest, connection, end);
          const drainTo = (bytes: number) => drain(connection, guest, recording, bytes, work);
          const log = await bringHome(connection, guest, recording, state.bytes, drainTo);
          return await outcomeOf(following, told, recording, state, log);
        }
        await tail(connection, guest, recording, watch, following);
      } catch (error) {
        work.signal.throwIfAborted();
        lostSince ??= performance.now();
        if (!(await machine.isRunning())) return await lostMachine(following, recording, error);
        if (!isLoss(error)) throw error;
        work.progress('the connection was lost: connecting again');
        const lostMs = performance.now() - lostSince;
        const shown = lostMs > CONSOLE_MS ? await throughConsole(following, guest, recording, watch) : undefined;
        if (shown?.outcome) return shown.outcome;
        // An installer that is seen through the console may still end, with the network or without.
        if (!shown && lostMs > RECONNECT_MS) {
          const end = watch.overdue();
          // Its limits hold for one that nobody can look at as well.
          if (end) return await outcomeOf(following, end, recording, seen);
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  } finally {
    watch.stop();
    await system.stop();
    await recording.checkpoint();
  }
}

/**
 * The way round a dead network: looks at the installer through the console, and brings its log home that way once it has ended.
 * Undefined where the machine has no console or that says nothing either.
 */
async function throughConsole(
  following: Following,
  guest: GuestAttempt,
  recording: Recording,
  watch: Watch,
): Promise<{ readonly outcome?: AttemptOutcome } | undefined> {
  const { console } = following.machine;
  if (!console) return undefined;
  try {
    const state = await lookAt(console, guest);
    const end = endOf(state, recording, watch.overdue());
    if (!end) return {};
    const told = await stopOverdue(following, guest, console, end);
    const drainTo = (bytes: number) => drainThroughConsole(console, guest, recording, bytes);
    const log = await bringHome(console, guest, recording, state.bytes, drainTo);
    return { outcome: await outcomeOf(following, told, recording, state, log) };
  } catch (error) {
    if (!isLoss(error)) throw error;
    return undefined;
  }
}

/** Ends an installer that was silent, or went on, for too long, or that printed too much; of a silent one it is told what it was at. */
async function stopOverdue(
  { machine, attempt, files }: Following,
  guest: GuestAttempt,
  shell: Shell,
  end: AttemptEnd,
): Promise<AttemptEnd> {
  if (end.kind !== 'stalled' && end.kind !== 'timed-out' && end.kind !== 'talkative') return end;
  const processes = await stalledProcesses(shell, guest);
  if (processes) await writeWhole(files.stalled, processes.text);
  await killInstaller(machine, shell, attempt.guest);
  return end.kind === 'stalled' && processes ? { ...end, doing: processes.doing } : end;
}

/** The console carries text: what is left of the log comes as base64, so much at a time. */
async function drainThroughConsole(
  console: GuestConsole,
  guest: GuestAttempt,
  recording: Recording,
  bytes: number,
): Promise<void> {
  while (recording.next < bytes) {
    const count = Math.min(bytes - recording.next, CONSOLE_BYTES);
    const argv = ['sh', '-c', `${REST} | base64 -w 0`, 'sh', guest.log, String(recording.next + 1), String(count)];
    const read = Buffer.from((await console.exec(argv, { raw: true })).stdout.trim(), 'base64');
    if (read.length === 0 || !(await recording.write(read))) return;
  }
}

/** A machine that died is a fault, unless it can be brought back: then it is one more way in which an attempt can fail. */
async function lostMachine(following: Following, recording: Recording, cause: unknown): Promise<AttemptOutcome> {
  const checkpoints = await checkpointsOf(following);
  const latest = checkpoints.at(-1);
  if (latest === undefined) {
    throw new NixproofError('MACHINE_GONE', 'the machine stopped while the installer ran', { cause });
  }
  return outcomeOf(following, { kind: 'machine-lost' }, recording, { barrier: latest.barrier, left: [] });
}

function isLoss(error: unknown): boolean {
  return error instanceof NixproofError && error.code.startsWith('TRANSPORT_') && error.code !== 'TRANSPORT_HOST_KEY';
}

interface Watch {
  /** Set where the installer was silent, or went on, for too long. */
  overdue(): AttemptEnd | undefined;
  /** What to break off when that happens. */
  attach(stream: Readable): void;
  stop(): void;
}

/** The timer behind a recording: heartbeats, checkpoints and limits go on whether there is output or not. */
function startWatch({ install, attempt, onProgress }: Following, recording: Recording): Watch {
  let current: Readable | undefined;
  let saving: Promise<void> | undefined;
  let restUntil = 0;
  const overdue = (): AttemptEnd | undefined => {
    const { silentMs, followedMs } = recording;
    if (silentMs >= install.stallMs) return { kind: 'stalled', silentMs };
    return followedMs >= install.timeoutMs ? { kind: 'timed-out', limitMs: install.timeoutMs } : undefined;
  };
  const tick = () => {
    onProgress({
      attempt: attempt.number,
      phase: recording.summary.phases.at(-1)?.name ?? '',
      phases: recording.summary.phaseCount,
      offset: recording.offset,
      lines: recording.lines,
      progress: recording.summary.progress,
    });
    if (overdue()) current?.destroy();
    const begun = performance.now();
    if (begun < restUntil) return;
    const rest = () => {
      const now = performance.now();
      restUntil = now + Math.min(CHECKPOINT_REST.mostMs, CHECKPOINT_REST.times * (now - begun));
      saving = undefined;
    };
    // One at a time: on a disk that takes nothing they would pile up.
    saving ??= recording
      .checkpoint(SILENCE_SAVED_MS)
      .catch((error: unknown) => void current?.destroy(error as Error))
      .finally(rest);
  };
  tick();
  const timer = setInterval(tick, TICK_MS);
  return {
    overdue,
    attach: (stream) => (current = stream),
    stop: () => clearInterval(timer),
  };
}

/** Follows the log until the installer's process has gone, the stream breaks, or the watch breaks it off. */
async function tail(
  connection: Connection,
  guest: GuestAttempt,
  recording: Recording,
  watch: Watch,
  following: Following,
): Promise<void> {
  // Where tail can wait for a process itself, nothing is started while the installer runs; else plain POSIX does it in any guest. The
  // loop ends it when the installer has ended. It looks ten times a second rather than at each write (GNU coreutils, tail.c:
  // ---disable-inotify): every line by itself wakes all that is on its way here, which made a busy installer a tenth slower.
  const script = `while [ ! -s "$1/pid" ] || [ ! -e "$1/install.log" ]; do sleep 0.2; n=$((n+1)); [ $n -gt 50 ] && exit 0; done
    read -r p <"$1/pid"
    tail --pid=$$ ---disable-inotify -c 0 /dev/null 2>/dev/null && exec tail --pid="$p" ---disable-inotify -s 0.1 -c +"$2" -f "$1/install.log"
    tail -c +"$2" -f "$1/install.log" & t=$!
    while kill -0 "$p" 2>/dev/null && kill -0 $t 2>/dev/null; do sleep 0.5; done
    kill $t 2>/dev/null`;
  const argv = ['sh', '-c', script, 'sh', guest.folder, String(recording.next + 1)];
  const stream = await connection.stream(argv, { signal: following.work.signal });
  watch.attach(stream);
  const serveBarrier = barrierService(connection, guest, recording, following);
  try {
    await serveBarrier();
    for await (const chunk of stream) {
      if (!(await recording.write(chunk as Buffer))) return;
      await serveBarrier();
    }
  } catch (error) {
    // The watch destroyed the stream: what to make of that is for the next look to say.
    if (!watch.overdue()) throw error;
  }
}

/**
 * Records the rest of the log of an installer that has ended, up to that size and as far as the
 * recording takes it.
 */
async function drain(
  connection: Connection,
  guest: GuestAttempt,
  recording: Recording,
  bytes: number,
  { signal }: Work,
): Promise<void> {
  const left = bytes - recording.next;
  if (left <= 0) return;
  const argv = ['sh', '-c', REST, 'sh', guest.log, String(recording.next + 1), String(left)];
  for await (const chunk of await connection.stream(argv, { signal })) {
    if (!(await recording.write(chunk as Buffer))) return;
  }
}

/**
 * What is to be called whenever more of the log is here: where the installer waits at a phase whose beginning we have read, does
 * what is to be done there and lets it go on.
 */
function barrierService(
  connection: Connection,
  guest: GuestAttempt,
  recording: Recording,
  { onBarrier, onReleased }: Following,
): () => Promise<void> {
  let seen = 0;
  return async () => {
    // Its marker comes right before it waits: without a new phase there is nothing to look for.
    if (recording.summary.phaseCount === seen && !recording.holding) return;
    const state = await lookAt(connection, guest);
    if (state.barrier > state.go && state.bytes > recording.next) return;
    // An installer that waits prints nothing more that could tell whether a secret has begun.
    if (state.barrier > state.go) await recording.settle();
    if (recording.summary.phaseCount === seen) return;
    seen = recording.summary.phaseCount;
    const phase = recording.summary.phases.at(-1)?.name ?? '';
    if (state.barrier > state.go) {
      await onBarrier(state.barrier, phase);
      const go = 'echo "$2" >"$1/go.tmp" && mv "$1/go.tmp" "$1/go"';
      await connection.exec(['sh', '-c', go, 'sh', guest.barrier, String(state.barrier)]);
    }
    if (state.barrier > 0) await onReleased(phase);
  };
}

/** The guest's log when the installer had ended, and the sums of its parts as we have them. */
interface GuestLog {
  readonly bytes: number;
  readonly sums: readonly string[];
}

/** What the last look into the guest leaves behind. */
type LastSeen = Pick<GuestState, 'barrier' | 'left'>;

/**
 * Drains until the guest has no more than we have. A process that the installer left running may
 * write to the log for ever: the end is read `MOST_DRAINS` times, each time to the size it had.
 * @param bytes its size when the installer had ended
 */
async function bringHome(
  shell: Shell,
  guest: GuestAttempt,
  recording: Recording,
  bytes: number,
  drainTo: (bytes: number) => Promise<void>,
): Promise<GuestLog> {
  await drainTo(bytes);
  for (let drains = 1; ; drains += 1) {
    const log = await guestLog(shell, guest, recording.parts);
    const cut = recording.next >= recording.limitBytes;
    if (log.bytes <= recording.next || cut || drains === MOST_DRAINS) return log;
    await drainTo(log.bytes);
  }
}

async function guestLog(shell: Shell, guest: GuestAttempt, parts: Recording['parts']): Promise<GuestLog> {
  // The size first: what is written in between makes it no longer than we take it for.
  const script = `log=$1; wc -c <"$log"; shift
    while [ $# -gt 0 ]; do
      if [ "$1" -eq 0 ]; then head -c "$2" "$log"; else tail -c +$(($1 + 1)) "$log" | head -c "$2"; fi | sha256sum
      shift 2
    done`;
  const ranges = parts.flatMap(({ from, to }) => [String(from), String(to - from)]);
  const { stdout } = await shell.exec(['sh', '-c', script, 'sh', guest.log, ...ranges], { timeoutMs: SUM_MS });
  const [, size = '0'] = /^[ \t]*(\d+)[ \t]*$/m.exec(stdout) ?? [];
  return { bytes: Number(size), sums: [...stdout.matchAll(/^[ \t]*([0-9a-f]{64})\b/gm)].map(([, sum = '']) => sum) };
}

/** @param guestLog absent if it could not be asked for */
async function outcomeOf(
  following: Following,
  end: AttemptEnd,
  recording: Recording,
  { barrier, left }: LastSeen,
  guestLog?: GuestLog,
): Promise<AttemptOutcome> {
  const { sha256, parts: ours } = await recording.finish();
  const { phases, errors, tail } = recording.summary;
  const succeeded = end.kind === 'exited' && end.exitCode === 0;
  const diagnosed = succeeded ? [] : await diagnose(following);
  const place = { line: Math.max(0, recording.lines - 1), offset: tail.at(-1)?.offset ?? 0 };
  return {
    ...(succeeded ? {} : { diagnoses: withEnd(diagnosed, end, place) }),
    end,
    startedAt: recording.startedAt,
    endedAt: Date.now(),
    phases,
    errors,
    tail,
    ...(left.length === 0 ? {} : { left }),
    barrier,
    checkpoints: await checkpointsOf(following),
    log: { bytes: recording.offset, lines: recording.lines, sha256, ...compared(recording.offset, ours, guestLog) },
  };
}

/** What the recorded log tells of the failure. */
async function diagnose({ files, successBaseline, work }: Following): Promise<readonly Diagnosis[]> {
  const usual = await successBaseline();
  work.progress('diagnosing the log');
  return diagnoseFailed({ file: files.log, ...(usual && { usual }) }, work.signal);
}

/** Our log beside the guest's. */
function compared(bytes: number, ours: readonly LogPart[], guest?: GuestLog): Pick<LogSummary, 'verified' | 'partOf'> {
  if (!guest) return { verified: false };
  const same = guest.sums.length === ours.length && ours.every(({ sha256 }, index) => sha256 === guest.sums[index]);
  if (guest.bytes <= bytes) return { verified: same && guest.bytes === bytes };
  return { verified: false, partOf: { bytes: guest.bytes, same } };
}

/** The checkpoints of the machine, oldest first. */
async function checkpointsOf({ machine }: Following): Promise<readonly PhaseCheckpoint[]> {
  const records = (await machine.checkpoints?.list()) ?? [];
  return records.flatMap(({ name, takenAt, tookMs, bytes }) => {
    const barrier = barrierOf(name);
    return barrier === undefined ? [] : [{ name, barrier, takenAt: Date.parse(takenAt), tookMs, bytes }];
  });
}
