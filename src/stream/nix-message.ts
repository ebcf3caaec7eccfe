/**
 * The lines of Nix's `--log-format internal-json` (nix/src/libutil/logging.cc, JSONLogger). Activity ids are random 64-bit
 * numbers, beyond what a JavaScript number holds: they are kept as their digits.
 */
export type NixMessage =
  | {
      readonly action: 'start';
      readonly id: string;
      readonly type: number;
      readonly level: number;
      readonly text: string;
      readonly fields: readonly unknown[];
    }
  | { readonly action: 'stop'; readonly id: string }
  | { readonly action: 'result'; readonly id: string; readonly type: number; readonly fields: readonly unknown[] }
  | { readonly action: 'msg'; readonly level: number; readonly text: string };

/** What a line of Nix's JSON log begins with. */
export const NIX_PREFIX = '@nix {';

/** Activity types (nix/src/libutil/logging.hh). */
export const ACTIVITY = { fileTransfer: 101, realise: 102, copyPaths: 103, builds: 104, build: 105 } as const;

/** Result types (the same file). */
export const RESULT = { buildLogLine: 101, progress: 105, setExpected: 106, postBuildLogLine: 107 } as const;

/** Verbosity (nix/src/libutil/error.hh): 0 error, 1 warn, 2 notice, 3 info, 4 talkative … 7 vomit. */
export const LEVEL = { error: 0, warn: 1, info: 3 } as const;

// A quote inside a JSON string is escaped, so this never matches inside one.
const ID = /"id"\s*:\s*(\d{1,20})\s*[,}]/;

/**
 * Nearly all lines of a build: a log line without escapes, a progress. Exactly as Nix writes them; read five times as fast as
 * by JSON.parse, which reads every other form.
 */
const COMMON =
  /^@nix \{"action":"result","fields":\[(?:"([^"\\\x00-\x1f]*)"|(\d{1,15}),(\d{1,15}),\d{1,15},\d{1,15})\],"id":(\d{1,20}),"type":(\d{1,3})\}$/;

/** One message, or undefined where the line is not one: no JSON, an unknown action, a part missing or of another type. */
export function readNixMessage(line: string): NixMessage | undefined {
  const common = COMMON.exec(line);
  if (common !== null) {
    const [, text, done, expected, id = '', type] = common;
    const fields = text === undefined ? [Number(done), Number(expected)] : [text];
    return { action: 'result', id, type: Number(type), fields };
  }
  const json = parseObject(line.slice(NIX_PREFIX.length - 1));
  if (json === undefined) return undefined;
  const { action, type, level, text, msg, fields } = json;
  if (action === 'msg') return isLevel(level) && typeof msg === 'string' ? { action, level, text: msg } : undefined;
  const id = ID.exec(line)?.[1];
  if (id === undefined) return undefined;
  if (action === 'stop') return { action, id };
  if (typeof type !== 'number') return undefined;
  const list: readonly unknown[] = Array.isArray(fields) ? fields : [];
  if (action === 'result') return { action, id, type, fields: list };
  if (action !== 'start' || typeof text !== 'string') return undefined;
  return { action, id, type, level: isLevel(level) ? level : LEVEL.info, text, fields: list };
}

function isLevel(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function parseObject(text: string): Partial<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
