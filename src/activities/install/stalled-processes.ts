import type { GuestAttempt } from '../../installers/installer.js';
import type { Shell } from './guest-state.js';

/** What an installer that is silent is doing. Guest text: hostile. */
export interface StalledProcesses {
  /** One line for each process of it, as `stalled.txt` has them: number, state, seconds of processor, command line. */
  readonly text: string;
  /** The command line of the one that was started last: what it waits for, most likely. */
  readonly doing: string;
}

/**
 * Every process of the installer's session, from /proc alone, so that it works in any guest (proc(5): stat has the state third, the
 * session sixth, and the processor time in ticks fourteenth and fifteenth, counted behind the name in brackets).
 */
const SCRIPT = `field() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f"$2"; }
session=$(field "$(cat "$1" 2>/dev/null)" 4)
[ -n "$session" ] || exit 0
for process in /proc/[0-9]*; do
  pid=\${process#/proc/}
  [ "$(field "$pid" 4)" = "$session" ] || continue
  ticks=$(( $(field "$pid" 12) + $(field "$pid" 13) ))
  printf '%s %s %s s  %s\\n' "$pid" "$(field "$pid" 1)" "$((ticks / 100))" "$(tr '\\0\\n' '  ' <"$process/cmdline" | cut -c1-300)"
done 2>/dev/null | sort -n | tail -n 100`;

/** What a command line may tell that nobody is to read. */
const SECRETS: readonly (readonly [pattern: RegExp, put: string])[] = [
  [/(:\/\/[^/\s:@]*:)[^/\s@]*@/g, '$1…@'],
  [/((?:token|password|passwd|secret|authorization)["']?[=: ]+)\S+/gi, '$1…'],
];
const SHOWN_CHARS = 120;

/** Looks at an installer that is about to be stopped; undefined where the guest tells nothing. */
export async function stalledProcesses(shell: Shell, guest: GuestAttempt): Promise<StalledProcesses | undefined> {
  const { stdout } = await shell.exec(['sh', '-c', SCRIPT, 'sh', guest.pid], { timeoutMs: 30_000 });
  const text = SECRETS.reduce((masked, [pattern, put]) => masked.replace(pattern, put), stdout);
  const last = text.trimEnd().split('\n').at(-1) ?? '';
  const doing = /^\d+ \S \d+ s {2}(.+)$/.exec(last)?.[1]?.trim();
  return doing === undefined ? undefined : { text, doing: doing.slice(0, SHOWN_CHARS) };
}
