import type { EventBody } from '../domain/event.js';
import { ACTIVITY, LEVEL, RESULT, type NixMessage } from './nix-message.js';
import { boundedName, oneLine } from './text.js';

/** Most activities of one kind that are followed at a time; the one heard of longest ago is forgotten first. */
const OPEN_LIMIT = 512;

/** A store path's name has at most 211 characters (nix/src/libstore/path.hh), its hash and folder 44 more. */
const DERIVATION_LIMIT = 300;

const MIB = 1024 * 1024;

type Counts = readonly [done: number, expected: number];
type Entries<T> = readonly (readonly [id: string, value: T])[];
type Stage = 'nix-build' | 'nix-copy' | 'nix-download';

/** What Nix is doing, as plain JSON. */
export interface NixState {
  /** Builds that run: derivation by activity id. */
  readonly builds: Entries<string>;
  /** Builds activities: how many derivations are done. */
  readonly buildCounts: Entries<Counts>;
  /** CopyPaths activities: how many paths are done. */
  readonly copyCounts: Entries<Counts>;
  /** Bytes that Realise activities expect to download. */
  readonly expectedBytes: Entries<number>;
  /** FileTransfer activities, bytes. */
  readonly transfers: Entries<Counts>;
  /** Bytes of transfers that ended while others, or a Realise, went on. */
  readonly transferredBytes: number;
  /** The last details told of each stage: what was said is not said again. */
  readonly said: Readonly<Partial<Record<Stage, string>>>;
}

/** The activities of the Nix processes that write into one log. */
export interface NixActivities {
  /** What a message means to a reader; undefined where it says nothing new. */
  take(message: NixMessage): EventBody | undefined;
  state(): NixState;
}

export function nixActivities(from?: NixState): NixActivities {
  const builds = new Map(from?.builds);
  const buildCounts = new Map(from?.buildCounts);
  const copyCounts = new Map(from?.copyCounts);
  const expectedBytes = new Map(from?.expectedBytes);
  const transfers = new Map(from?.transfers);
  const said: Partial<Record<Stage, string>> = { ...from?.said };
  let transferredBytes = from?.transferredBytes ?? 0;

  const tell = (stage: Stage, details: string, fraction?: number): EventBody | undefined => {
    if (said[stage] === details) return undefined;
    said[stage] = details;
    return { type: 'progress', stage, details, ...(fraction === undefined ? {} : { fraction: Math.min(1, fraction) }) };
  };

  const tellCounts = (stage: Stage, counts: ReadonlyMap<string, Counts>): EventBody | undefined => {
    const [done, expected] = total(counts);
    return expected === 0 ? undefined : tell(stage, `${done}/${expected}`, done / expected);
  };

  const tellDownload = (): EventBody | undefined => {
    const [moving, known] = total(transfers);
    const done = transferredBytes + moving;
    const promised = [...expectedBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const expected = Math.max(promised, transferredBytes + known);
    if (expected === 0) return undefined;
    return tell('nix-download', `${Math.floor(done / MIB)}/${Math.ceil(expected / MIB)} MiB`, done / expected);
  };

  const start = (message: Extract<NixMessage, { action: 'start' }>): EventBody | undefined => {
    const { id, type, level, text, fields } = message;
    if (type === ACTIVITY.realise) remember(expectedBytes, id, 0);
    if (type === ACTIVITY.copyPaths) remember(copyCounts, id, [0, 0]);
    if (type === ACTIVITY.builds) remember(buildCounts, id, [0, 0]);
    if (type === ACTIVITY.fileTransfer) remember(transfers, id, [0, 0]);
    const [derivation] = fields;
    if (type === ACTIVITY.build && typeof derivation === 'string') {
      const name = boundedName(oneLine(derivation), DERIVATION_LIMIT);
      remember(builds, id, name);
      return { type: 'build', derivation: name, status: 'started' };
    }
    return text === '' ? undefined : { type: 'line', text: oneLine(text), level };
  };

  const stop = (id: string): EventBody | undefined => {
    transferredBytes += transfers.get(id)?.[0] ?? 0;
    const derivation = builds.get(id);
    for (const open of [builds, buildCounts, copyCounts, expectedBytes, transfers]) open.delete(id);
    if (transfers.size === 0 && expectedBytes.size === 0) transferredBytes = 0;
    return derivation === undefined ? undefined : { type: 'build', derivation, status: 'finished' };
  };

  const progress = (id: string, counts: Counts): EventBody | undefined => {
    if (buildCounts.has(id)) return (remember(buildCounts, id, counts), tellCounts('nix-build', buildCounts));
    if (copyCounts.has(id)) return (remember(copyCounts, id, counts), tellCounts('nix-copy', copyCounts));
    if (transfers.has(id)) return (remember(transfers, id, counts), tellDownload());
    return undefined;
  };

  const result = (message: Extract<NixMessage, { action: 'result' }>): EventBody | undefined => {
    const { id, type, fields } = message;
    const [first, second] = fields;
    if (type === RESULT.buildLogLine || type === RESULT.postBuildLogLine)
      return typeof first === 'string' ? { type: 'line', text: oneLine(first) } : undefined;
    if (!isCount(first) || !isCount(second)) return undefined;
    if (type === RESULT.progress) return progress(id, [first, second]);
    if (type === RESULT.setExpected && first === ACTIVITY.fileTransfer && expectedBytes.has(id)) {
      remember(expectedBytes, id, second);
      return transfers.size > 0 || transferredBytes > 0 ? tellDownload() : undefined;
    }
    return undefined;
  };

  return {
    take(message) {
      switch (message.action) {
        case 'start':
          return start(message);
        case 'stop':
          return stop(message.id);
        case 'result':
          return result(message);
        case 'msg':
          return messageEvent(message.level, oneLine(message.text));
      }
    },
    state: () => ({
      builds: [...builds],
      buildCounts: [...buildCounts],
      copyCounts: [...copyCounts],
      expectedBytes: [...expectedBytes],
      transfers: [...transfers],
      transferredBytes,
      said: { ...said },
    }),
  };
}

/** Nix 2.8 sends its own warnings at level 0, as text that begins with `warning:`: that word decides before the level does. */
function messageEvent(level: number, text: string): EventBody {
  if (level === LEVEL.warn || (level === LEVEL.error && text.startsWith('warning:')))
    return { type: 'warning', message: text };
  return level === LEVEL.error ? { type: 'error', message: text } : { type: 'line', text, level };
}

/** Sets an entry as the newest one and forgets the oldest beyond the limit. */
function remember<T>(open: Map<string, T>, id: string, value: T): void {
  open.delete(id);
  open.set(id, value);
  if (open.size <= OPEN_LIMIT) return;
  const [oldest] = open.keys();
  if (oldest !== undefined) open.delete(oldest);
}

function total(counts: ReadonlyMap<string, Counts>): Counts {
  let done = 0;
  let expected = 0;
  for (const count of counts.values()) {
    done += count[0];
    expected += count[1];
  }
  return [done, expected];
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
