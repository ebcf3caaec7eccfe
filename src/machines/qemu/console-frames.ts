import { NixproofError } from '../../domain/error.js';
import { quote } from '../quote.js';

/**
 * How a command and its output cross a terminal that kernel messages, echo, prompts and leftovers cross too. The output comes
 * in base64, in numbered lines that tell their length and bear a random mark: whatever a command prints cannot look like one,
 * and what another writer broke or took away shows.
 */
export type Frame =
  | { readonly kind: 'ready'; readonly uid: number }
  | { readonly kind: 'data'; readonly number: number; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly frames: number }
  | { readonly kind: 'status'; readonly exitCode: number }
  | { readonly kind: 'damaged' };

/** Of the output, from its beginning; what is beyond is read in the guest and dropped there. */
const MAX_OUTPUT_BYTES = 1 << 20;
/** Characters of base64 in a line: a terminal takes it in one write, and two megabytes are not mostly marks. */
const FRAME_WIDTH = 960;
/** A terminal's input line may have 4095 bytes (termios(3)); whatever is typed stays far below. */
const TYPED_WIDTH = 1000;

/** Ends what runs in the foreground; a new line, because the shell may throw away the one it is reading. */
export const INTERRUPT = '\x03\n';

/** Ends the job that an exec left behind. Never with an empty name: that would be the shell itself. */
const END_JOB = '[ -z "$np_job" ] || kill -KILL "-$np_job" 2>/dev/null; np_job=';

/** What is typed to give a command up. */
export const ABANDON = `${INTERRUPT}${END_JOB}\n`;

/** What is typed to find out whether a shell listens. Its mark is typed in two halves, so that an echo is no answer. */
export function greetingText(mark: string): string {
  const [head, tail] = [mark.slice(0, 8), mark.slice(8)];
  return [
    `stty -echo -tostop 2>/dev/null; set -m; unset HISTFILE; ${END_JOB}`,
    `printf '%s%s ready %s\\n' ${head} ${tail} "$(id -u)"`,
    '',
  ].join('\n');
}

/**
 * What is typed to run a command. It runs as a job in the background, without standard input, and the shell waits for it: so
 * the shell answers Ctrl-C whatever the command does, and says nothing in between.
 */
export function commandText(argv: readonly string[], mark: string): string {
  const frames = `{ print "${mark}", NR, length($0), $0 } END { print "${mark} end", NR }`;
  const script = [
    'exec 4>&1 </dev/null',
    `np_status=$({ { (${quote(argv)}) 2>&1 3>&- 4>&-; printf %s "$?" >&3; } |`,
    `{ head -c ${MAX_OUTPUT_BYTES}; cat >/dev/null; } | base64 -w ${FRAME_WIDTH} | awk ${quote([frames])} >&4; } 3>&1)`,
    `printf '%s status %s\\n' ${mark} "$np_status"`,
  ].join('\n');
  const typed = Buffer.from(script).toString('base64');
  const pieces = typed.match(new RegExp(`.{1,${TYPED_WIDTH}}`, 'g')) ?? [];
  return [
    'np_script=',
    ...pieces.map((piece) => `np_script=$np_script'${piece}'`),
    `{ ( eval "$(printf %s "$np_script" | base64 -d)" ) & np_job=$!; wait "$np_job" && np_job=; } 2>/dev/null`,
    '',
  ].join('\n');
}

/** The frame in one line of a console's output, whatever stands before and behind it; undefined where there is none. */
export function frameIn(line: string, mark: string): Frame | undefined {
  const at = line.lastIndexOf(`${mark} `);
  if (at < 0) return undefined;
  const rest = line.slice(at + mark.length + 1);
  const word = /^(ready|end|status) (\d+)/.exec(rest);
  const value = Number(word?.[2]);
  if (word?.[1] === 'ready') return { kind: 'ready', uid: value };
  if (word?.[1] === 'end') return { kind: 'end', frames: value };
  if (word?.[1] === 'status') return { kind: 'status', exitCode: value };
  const data = /^(\d+) (\d+) ([A-Za-z0-9+/=]*)/.exec(rest);
  const [, number = '', length = '', text = ''] = data ?? [];
  const payload = text.slice(0, Number(length));
  if (!data || payload.length !== Number(length) || payload.length % 4 !== 0) return { kind: 'damaged' };
  return { kind: 'data', number: Number(number), bytes: Buffer.from(payload, 'base64') };
}

/** What a command answered, put together from its frames. */
export interface Answer {
  /**
   * Takes the next frame; gives exit status and output with the last one.
   * @throws NixproofError `TRANSPORT_GARBLED` with the last one, where something was lost on the way
   */
  take(frame: Frame): { readonly exitCode: number; readonly output: Buffer } | undefined;
}

export function createAnswer(): Answer {
  const parts: Buffer[] = [];
  let whole = true;
  let ended = false;
  return {
    take(frame) {
      switch (frame.kind) {
        case 'ready':
          return undefined;
        case 'damaged':
          whole = false;
          return undefined;
        case 'data':
          whole &&= frame.number === parts.push(frame.bytes);
          return undefined;
        case 'end':
          ended = frame.frames === parts.length;
          return undefined;
        case 'status':
          if (whole && ended) return { exitCode: frame.exitCode, output: Buffer.concat(parts) };
          throw new NixproofError('TRANSPORT_GARBLED', 'what a command printed did not come whole over the console', {
            hint: 'something else writes to the console at the same time: run the command again',
            details: { exitCode: frame.exitCode },
          });
      }
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
