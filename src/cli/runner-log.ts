import { randomUUID } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

/**
 * Blanks as the runner takes them off a line's beginning (.NET, Char.IsWhiteSpace), the ends of
 * lines left out: those are LF, CR and both.
 */
const BLANKS = String.raw`(?:[^\S\r\n]|\x85)*`;
/**
 * What makes a line a command of GitHub's runner: `::` behind blanks, or `##[` anywhere
 * (actions/runner, ActionCommand.cs).
 */
const COMMAND = new RegExp(String.raw`(^|[\r\n])(${BLANKS}:)(?=:)|(##)(?=\[)`, 'g');
/**
 * A line's end that a command may go on from: blanks and a colon, or the beginning of the other
 * mark.
 */
const BEGUN = new RegExp(String.raw`^${BLANKS}(:?)$|(##?)$`);

/**
 * Breaks the commands in texts that are written one after the other, wherever one text ends and the
 * next begins.
 */
export function commandBreaker(): (text: string) => string {
  let begun = '';
  return (text) => {
    const broken = (begun + text).replace(COMMAND, '$1$2$3 ').slice(begun.length);
    const line = (begun + text).split(/[\r\n]/).at(-1) ?? '';
    const [whole, colon, hashes] = BEGUN.exec(line) ?? [];
    // Anything else keeps what comes behind it from being a line's beginning.
    begun = whole === undefined ? 'x' : (hashes ?? colon ?? '');
    return broken;
  };
}

/** JSON in which no command can be read; it says the same. */
export function withoutCommands(json: string): string {
  return json.replaceAll('##[', String.raw`#\u0023[`);
}

/** What is written where GitHub's runner reads it. */
export interface RunnerLog {
  /** From here on standard output has guests' text: the runner is told to obey nothing in it. */
  quote(): void;
  /** Takes a text into the quotation as it is, byte for byte. */
  exact(text: string): void;
  /** Ends the quotation; to be called when all is written. */
  end(): void;
}

/**
 * Keeps GitHub's runner from obeying what guests print: commands are broken in all that this
 * process writes to its log, and standard output is quoted besides, with a word that a guest cannot
 * know. A file gets every byte as it is.
 */
export function guardRunnerLog(env: NodeJS.ProcessEnv = process.env): RunnerLog {
  const { stdout, stderr } = process;
  const asItIs = { quote: () => undefined, exact: (text: string) => void stdout.write(text), end: () => undefined };
  if (env['GITHUB_ACTIONS'] !== 'true') return asItIs;
  if (!isFile(2)) guard(stderr);
  if (isFile(1)) return asItIs;
  const write = guard(stdout);
  const word = randomUUID();
  let quoting = false;
  return {
    quote() {
      if (!quoting) write(`::stop-commands::${word}\n`);
      quoting = true;
    },
    exact(text) {
      this.quote();
      write(text);
    },
    end() {
      // What a guest wrote last may have left a line unfinished.
      if (quoting) write(`\n::${word}::\n`);
      quoting = false;
    },
  };
}

/**
 * Breaks commands in what is written to a stream from here on.
 * @returns what writes to it as before
 */
function guard(stream: NodeJS.WriteStream): (text: string) => void {
  const write = stream.write.bind(stream) as (text: string, ...rest: readonly unknown[]) => boolean;
  const decoder = new StringDecoder('utf8');
  const broken = commandBreaker();
  stream.write = (chunk: string | Uint8Array, ...rest: readonly unknown[]) =>
    write(broken(typeof chunk === 'string' ? chunk : decoder.write(chunk)), ...rest);
  return (text) => void write(text);
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}
