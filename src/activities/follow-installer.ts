import type { Readable } from 'node:stream';
import type { AttemptEnd, AttemptOutcome, InstallProgress } from '../domain/attempt.js';
import { NixproofError } from '../domain/error.js';
import type { Installation } from '../domain/profile.js';
import { guestAttempt, killInstaller, type GuestAttempt } from '../installers/installer.js';
import type { Connection, Machine, Work } from '../machines/machine.js';
import type { AttemptFiles } from '../records/artifacts.js';
import { diagnoseAttempt } from './diagnose-attempt.js';
import { openRecording, type Recording } from './recording.js';

export interface Following {
  readonly machine: Machine;
  readonly attempt: number;
  readonly install: Installation;
  readonly files: AttemptFiles;
  readonly work: Work;
  /** Told about every second, and at every change of phase. */
  readonly onProgress: (progress: InstallProgress) => void;
}

/** Checkpoints and heartbeats. */
const TICK_MS = 1000;
/** So long a lost connection to a machine that still runs is tried again before the step is given up. */
const RECONNECT_MS = 60_000;
/** The installer's process id appears at once; where it does not, it never started. */
const START_MS = 30_000;

/** How the installer stands, as one look into the guest found it. */
interface GuestState {
  readonly started: boolean;
  readonly alive: boolean;
  readonly exitCode: number | undefined;
  readonly bytes: number;
}

/**
 * Copies the installer's log from the guest as it grows, until the installer has ended and every byte is here. The end of a
 * stream is never taken for the installer's end: its status file is. Called again after a crash it goes on at the last
 * checkpoint.
 * @throws NixproofError `MACHINE_GONE`, `MACHINE_START_FAILED`, `TRANSPORT_*`
 */
export async function followInstaller(following: Following): Promise<AttemptOutcome> {
  const { machine, attempt, files, work } = following;
  const guest = guestAttempt(machine, attempt);
  await using recording = await openRecording(files, Date.now);
  const watch = startWatch(following, recording);
  try {
    let lostSince: number | undefined;
    for (;;) {
      work.signal.throwIfAborted();
      try {
        const connection = await machine.connect(work);
        const state = await lookAt(connection, guest);
        lostSince = undefined;
        const end = endOf(state, recording, watch.overdue());
        if (end) {
          if (end.kind === 'stalled' || end.kind === 'timed-out') await killInstaller(machine, connection, attempt);
          await drain(connection, guest, recording, work);
          return await outcomeOf(end, connection, guest, recording, files);
        }
        await tail(connection, guest, recording, watch, work);
      } catch (error) {
        work.signal.throwIfAborted();
        lostSince ??= Date.now();
        if (!isLoss(error) || Date.now() - lostSince > RECONNECT_MS) throw error;
        if (!(await machine.isRunning())) {
          throw new NixproofError('MACHINE_GONE', 'the machine stopped while the installer ran', { cause: error });
        }
        work.progress('the connection was lost: connecting again');
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  } finally {
    watch.stop();
    await recording.checkpoint();
  }
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
  const overdue = (): AttemptEnd | undefined => {
    const now = Date.now();
    const silentMs = now - recording.lastOutputAt;
    if (silentMs >= install.stallMs) return { kind: 'stalled', silentMs };
    return now - recording.startedAt >= install.timeoutMs
      ? { kind: 'timed-out', limitMs: install.timeoutMs }
      : undefined;
  };
  const tick = () => {
    onProgress({
      attempt,
      phase: recording.summary.phases.at(-1)?.name ?? '',
      offset: recording.offset,
      lines: recording.lines,
      progress: recording.summary.progress,
    });
    if (overdue()) current?.destroy();
    recording.checkpoint().catch((error: unknown) => current?.destroy(error as Error));
  };
  tick();
  const timer = setInterval(tick, TICK_MS);
  return {
    overdue,
    attach: (stream) => (current = stream),
    stop: () => clearInterval(timer),
  };
}

async function lookAt(connection: Connection, guest: GuestAttempt): Promise<GuestState> {
  // Alive is asked before the status: the status is written before the process ends, so "dead without status" is final.
  const script = `pid=$(cat "$1/pid" 2>/dev/null); echo "pid=$pid"
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && echo alive=1
    echo "status=$(cat "$1/status" 2>/dev/null)"
    echo "bytes=$(wc -c <"$1/install.log" 2>/dev/null)"`;
  const { stdout } = await connection.exec(['sh', '-c', script, 'sh', guest.folder]);
  const value = (name: string) => new RegExp(`^${name}=\\s*(\\d+)`, 'm').exec(stdout)?.[1];
  const status = value('status');
  return {
    started: value('pid') !== undefined,
    alive: value('alive') !== undefined,
    exitCode: status === undefined ? undefined : Number(status),
    bytes: Number(value('bytes') ?? 0),
  };
}

function endOf(state: GuestState, recording: Recording, overdue: AttemptEnd | undefined): AttemptEnd | undefined {
  if (state.exitCode !== undefined) return { kind: 'exited', exitCode: state.exitCode };
  // What was printed while nobody followed is no silence.
  if (overdue && (overdue.kind !== 'stalled' || state.bytes <= recording.offset)) return overdue;
  if (state.started) return state.alive ? undefined : { kind: 'killed' };
  if (Date.now() - recording.startedAt < START_MS) return undefined;
  throw new NixproofError('MACHINE_START_FAILED', 'the installer never started in the machine', {
    hint: 'see the machine’s journal in the collected logs',
  });
}

/** Follows the log until the installer's process has gone, the stream breaks, or the watch breaks it off. */
async function tail(
  connection: Connection,
  guest: GuestAttempt,
  recording: Recording,
  watch: Watch,
  { signal }: Work,
): Promise<void> {
  // Plain POSIX, so that it works in any guest; the loop ends it when the installer has ended.
  const script = `while [ ! -s "$1/pid" ] || [ ! -e "$1/install.log" ]; do sleep 0.2; n=$((n+1)); [ $n -gt 50 ] && exit 0; done
    tail -c +"$2" -f "$1/install.log" & t=$!
    while kill -0 "$(cat "$1/pid")" 2>/dev/null && kill -0 $t 2>/dev/null; do sleep 0.5; done
    kill $t 2>/dev/null`;
  const argv = ['sh', '-c', script, 'sh', guest.folder, String(recording.offset + 1)];
  const stream = await connection.stream(argv, { signal });
  watch.attach(stream);
  try {
    await record(stream, recording);
  } catch (error) {
    // The watch destroyed the stream: what to make of that is for the next look to say.
    if (!watch.overdue()) throw error;
  }
}

/** The rest of the log of an installer that has ended. */
async function drain(
  connection: Connection,
  guest: GuestAttempt,
  recording: Recording,
  { signal }: Work,
): Promise<void> {
  const argv = ['tail', '-c', `+${recording.offset + 1}`, guest.log];
  await record(await connection.stream(argv, { signal }), recording);
}

async function record(stream: Readable, recording: Recording): Promise<void> {
  for await (const chunk of stream) await recording.write(chunk as Buffer);
}

async function outcomeOf(
  end: AttemptEnd,
  connection: Connection,
  guest: GuestAttempt,
  recording: Recording,
  files: AttemptFiles,
): Promise<AttemptOutcome> {
  const sha256 = await recording.finish();
  const sum = await connection.exec(
    ['sh', '-c', 'head -c "$2" "$1" | sha256sum', 'sh', guest.log, String(recording.offset)],
    { timeoutMs: 10 * 60_000 },
  );
  const { phases, errors, tail } = recording.summary;
  const succeeded = end.kind === 'exited' && end.exitCode === 0;
  return {
    ...(succeeded ? {} : { diagnoses: await diagnoseAttempt(files) }),
    end,
    startedAt: recording.startedAt,
    endedAt: Date.now(),
    phases,
    errors,
    tail,
    log: { bytes: recording.offset, lines: recording.lines, sha256, verified: sum.stdout.split(' ')[0] === sha256 },
  };
}
