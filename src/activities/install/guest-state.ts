import type { AttemptEnd } from '../../domain/attempt.js';
import type { GuestAttempt } from '../../installers/installer.js';
import type { ExecResult } from '../../machines/machine.js';
import type { Recording } from './recording.js';

/** It had begun when it was first followed: whose process id is not there after so long has lost all it had, as by a restart. */
const START_MS = 30_000;

/** How what `nixproof-run` started stands, as one look into the guest found it: an installer, or a heal's commands. */
export interface GuestState {
  readonly started: boolean;
  readonly alive: boolean;
  readonly exitCode: number | undefined;
  readonly bytes: number;
  /** The phase it has come to through `nixproof-phase`; 0 before the first. */
  readonly barrier: number;
  /** The phase up to which it may go; below `barrier` it waits. */
  readonly go: number;
  /** Names of processes that it started and that still run after its exit. Guest text: hostile. */
  readonly left: readonly string[];
}

/** What runs commands in the guest: a connection, or the console where the network is dead. */
export interface Shell {
  exec(argv: readonly string[], options?: { readonly timeoutMs?: number }): Promise<ExecResult>;
}

/** Looks into the guest once. */
export async function lookAt(shell: Shell, guest: Pick<GuestAttempt, 'folder'>): Promise<GuestState> {
  // Alive is asked before the status: the status is written before the process ends, so "dead without status" is final.
  // The names come last: the guest chose them, and the first value of each kind counts.
  // What the shell does itself starts no process: this is asked of every installer, and a hundred may start at once.
  const script = `value() { v=; { read -r v <"$1"; } 2>/dev/null; echo "$2=$v"; }
    cd "$1" 2>/dev/null || exit 0; value pid pid
    [ -n "$v" ] && kill -0 "$v" 2>/dev/null && echo alive=1
    value status status; value barrier/count barrier; value barrier/go go
    echo "bytes=$(wc -c <install.log 2>/dev/null)"
    { while read -r v; do echo "left=$v"; done <left; } 2>/dev/null`;
  const { stdout } = await shell.exec(['sh', '-c', script, 'sh', guest.folder]);
  const value = (name: string) => new RegExp(`^${name}=\\s*(\\d+)`, 'm').exec(stdout)?.[1];
  const status = value('status');
  return {
    started: value('pid') !== undefined,
    alive: value('alive') !== undefined,
    exitCode: status === undefined ? undefined : Number(status),
    bytes: Number(value('bytes') ?? 0),
    barrier: Number(value('barrier') ?? 0),
    go: Number(value('go') ?? 0),
    left: namesIn(stdout),
  };
}

/** A process's name has at most 15 characters (proc(5): comm); `nixproof-run` writes at most 20. */
function namesIn(stdout: string): readonly string[] {
  const names = [...stdout.matchAll(/^left=(.{1,15})/gm)].map(([, name = '']) => name);
  return [...new Set(names)].slice(0, 20);
}

/** How the installer ended, or undefined where it goes on. One that printed too much did so whatever came of it. */
export function endOf(
  state: GuestState,
  recording: Recording,
  overdue: AttemptEnd | undefined,
): AttemptEnd | undefined {
  if (state.bytes > recording.limitBytes) return { kind: 'talkative', limitBytes: recording.limitBytes };
  if (state.exitCode !== undefined) return { kind: 'exited', exitCode: state.exitCode };
  // What was printed while nobody followed is no silence.
  if (overdue && (overdue.kind !== 'stalled' || state.bytes <= recording.next)) return overdue;
  if (state.started) return state.alive ? undefined : { kind: 'killed' };
  return recording.followedMs < START_MS ? undefined : { kind: 'killed' };
}
