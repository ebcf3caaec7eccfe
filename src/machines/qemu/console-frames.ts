import { quote } from '../quote.js';

/**
 * How a command and its output cross a terminal that kernel messages, echo, prompts and leftovers cross too, and whose far end
 * drops what nobody reads in time (QEMU's virtio console does). The output is kept in the guest until it is here. It is fetched
 * a window at a time, in base64, in numbered lines that tell their length and bear a random mark: whatever a command prints
 * cannot look like one, what another writer broke or took away shows, and is asked for again.
 */
export type Frame =
  | { readonly kind: 'ready'; readonly uid: number }
  | { readonly kind: 'status'; readonly exitCode: number; readonly bytes: number }
  | { readonly kind: 'data'; readonly number: number; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly frames: number }
  | { readonly kind: 'damaged' };

/** Of the output, from its beginning; what is beyond is read in the guest and dropped there. */
const MAX_OUTPUT_BYTES = 1 << 20;
/** Characters of base64 in a line: a terminal takes it in one write, and two megabytes are not mostly marks. */
const FRAME_WIDTH = 960;
/** Of output, fetched at once: in base64 well below the 200 KiB that a socket holds for a reader that is late. */
export const WINDOW_BYTES = 64 * ((FRAME_WIDTH / 4) * 3);
/** A terminal's input line may have 4095 bytes (termios(3)); whatever is typed stays far below. */
const TYPED_WIDTH = 1000;

/** Ends what runs in the foreground; a new line, because the shell may throw away the one it is reading. */
export const INTERRUPT = '\x03\n';

/** Ends the job that an exec left behind, and removes its output. Never with an empty name: that would be the shell itself. */
const TIDY =
  '[ -z "$np_job" ] || kill -KILL "-$np_job" 2>/dev/null; [ -z "$np_dir" ] || rm -rf "$np_dir"; np_job= np_dir=';

/** What is typed when a command is done with, or is given up. */
export const ABANDON = `${INTERRUPT}${TIDY}\n`;

/** What is typed to find out whether a shell listens. */
export function greetingText(mark: string): string {
  return [
    `stty -echo -tostop 2>/dev/null; set -m; unset HISTFILE; ${TIDY}`,
    `printf '%s ready %s\\n' ${inHalves(mark)} "$(id -u)"`,
    '',
  ].join('\n');
}

/** A word of the shell that is the mark, and yet does not look like it in an echo. */
function inHalves(mark: string): string {
  return `${mark.slice(0, 8)}''${mark.slice(8)}`;
}

/**
 * What is typed to run a command; status and first window are the answer. It runs as a job in the background, without standard
 * input, and the shell waits for it: so the shell answers Ctrl-C whatever the command does, and says nothing in between. Its
 * output is in memory, because the console is there for full disks too.
 */
export function commandText(argv: readonly string[], mark: string): string {
  const frames = '{ print m, NR, length($0), $0 } END { print m, "end", NR }';
  const script = `
np_dir=$(umask 077; for np_in in /dev/shm /run /tmp; do mktemp -d "$np_in/np.XXXXXX" && break; done)
np_run() {
  exec </dev/null >/dev/null 2>&1
  np_status=$({ { (${quote(argv)}) 2>&1 3>&-; printf %s "$?" >&3; } |
    { head -c ${MAX_OUTPUT_BYTES} >"$np_dir/output"; cat >/dev/null; }; } 3>&1)
  echo "$np_status" "$(wc -c <"$np_dir/output")" >"$np_dir/status"
}
np_send() {
  tail -c "+$2" "$np_dir/output" | head -c ${WINDOW_BYTES} | base64 -w ${FRAME_WIDTH} | awk -v "m=$1" ${quote([frames])}
}`;
  const pieces =
    Buffer.from(script)
      .toString('base64')
      .match(new RegExp(`.{1,${TYPED_WIDTH}}`, 'g')) ?? [];
  return [
    'np_script=',
    ...pieces.map((piece) => `np_script=$np_script'${piece}'`),
    'eval "$(printf %s "$np_script" | base64 -d)" 2>/dev/null; np_script=',
    '{ np_run & np_job=$!; wait "$np_job" && np_job=; } 2>/dev/null',
    // Twice: for a window one may ask again, for this one could only wait.
    ...['', ''].map(() => `printf '%s status %s %s\\n' ${inHalves(mark)} $(cat "$np_dir/status")`),
    windowText(0, mark),
  ].join('\n');
}

/** What is typed to have a window of the output, from a byte on. */
export function windowText(offset: number, mark: string): string {
  return `np_send ${inHalves(mark)} ${offset + 1}\n`;
}

/** The frame in one line of a console's output, whatever stands before and behind it; undefined where there is none. */
export function frameIn(line: string, mark: string): Frame | undefined {
  const at = line.lastIndexOf(`${mark} `);
  if (at < 0) return undefined;
  const rest = line.slice(at + mark.length + 1);
  const [, word, first, second] = /^(ready|end|status) (\d+)(?: (\d+))?/.exec(rest) ?? [];
  if (word === 'ready') return { kind: 'ready', uid: Number(first) };
  if (word === 'end') return { kind: 'end', frames: Number(first) };
  if (word === 'status' && second !== undefined)
    return { kind: 'status', exitCode: Number(first), bytes: Number(second) };
  const data = /^(\d+) (\d+) ([A-Za-z0-9+/=]*)/.exec(rest);
  const [, number = '', length = '', text = ''] = data ?? [];
  const payload = text.slice(0, Number(length));
  if (!data || payload.length !== Number(length) || payload.length % 4 !== 0) return { kind: 'damaged' };
  return { kind: 'data', number: Number(number), bytes: Buffer.from(payload, 'base64') };
}

/** A window of the output, put together from its frames. */
export interface Window {
  /** Takes the next frame; with the last one it gives the bytes, or `damaged` where something was lost on the way. */
  take(frame: Frame): Buffer | 'damaged' | undefined;
}

/** @param bytes how many the window has */
export function createWindow(bytes: number): Window {
  const parts: Buffer[] = [];
  let whole = true;
  return {
    take(frame) {
      if (frame.kind === 'damaged') whole = false;
      if (frame.kind === 'data') whole &&= frame.number === parts.push(frame.bytes);
      if (frame.kind !== 'end') return undefined;
      const all = Buffer.concat(parts);
      return whole && frame.frames === parts.length && all.length === bytes ? all : 'damaged';
    },
  };
}

/** Cuts a console's output into lines. What never ends a line is kept only as far as a frame could need it. */
export function createLineCutter(): (chunk: Buffer) => string[] {
  const longest = 4 * FRAME_WIDTH;
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(-longest);
    return lines;
  };
}
