import { createHash } from 'node:crypto';
import { stat, type FileHandle } from 'node:fs/promises';
import { MAX_LOG_BYTES } from '../../domain/profile.js';
import type { LogSummary } from '../../domain/run.js';
import { passFence } from '../../host/fence.js';
import { makeFolder, readJson, sha256Of, takeOver, writeJson } from '../../host/files.js';
import { whenThereIsRoom } from '../../host/disk-space.js';
import type { AttemptFiles } from '../../records/artifacts.js';
import { createRedactor, type Redactor } from '../../secrets/redactor.js';
import { createStreamParser, type ParserState } from '../../stream/parser.js';
import { serializeEvents } from '../../stream/serialize.js';
import { emptySummary, summarize, type StreamSummary } from '../../stream/summary.js';

/** follow.json: how far an attempt's log is on disk, and what a parser needs to go on from there. Written whole. */
interface FollowState {
  readonly parser: ParserState;
  readonly eventsBytes: number;
  readonly summary: StreamSummary;
  readonly startedAt: number;
  /** As a recording tells it; absent in files of older versions. */
  readonly followedMs?: number;
  readonly silentMs?: number;
  /**
   * If secrets are masked: what came of the guest's log. Another process begins a part of its own,
   * at the parser's offset.
   */
  readonly parts?: readonly LogPart[];
}

/** A part of the guest's log, as it came. */
export interface LogPart {
  /** Byte offsets; `to` is the first that is not in it. */
  readonly from: number;
  readonly to: number;
  /** Of the guest's own bytes, before secrets in them were masked. */
  readonly sha256: string;
}

/** Milliseconds since it was made, and those before. */
function stopwatch(beforeMs = 0): () => number {
  const since = performance.now();
  return () => beforeMs + performance.now() - since;
}

/** An attempt's log and events on their way to disk. */
export interface Recording extends AsyncDisposable {
  /** The next byte of the guest's log that is wanted. */
  readonly next: number;
  /** How much of it is on disk. */
  readonly offset: number;
  /** Whether bytes that came are not on disk yet, because a secret may have begun in them. */
  readonly holding: boolean;
  /** Parts that are together all of the log that came; they may overlap. */
  readonly parts: readonly Omit<LogPart, 'sha256'>[];
  readonly lines: number;
  readonly summary: StreamSummary;
  /** When the attempt was first followed, milliseconds since the epoch. */
  readonly startedAt: number;
  /** How long it was followed, and how long nothing has come: no change of this host's clock, and no sleep, counts. */
  readonly followedMs: number;
  readonly silentMs: number;
  /** It takes so much of the log and no more. */
  readonly limitBytes: number;
  /** Takes the log's next bytes; resolves when they and their events are written. False where they were more than it takes. */
  write(chunk: Uint8Array): Promise<boolean>;
  /** Writes what is held back: nothing more comes for now. */
  settle(): Promise<void>;
  /**
   * Makes what was written the point where another process goes on.
   * @param restMs where nothing was written since, not within so long of the last one
   */
  checkpoint(restMs?: number): Promise<void>;
  /**
   * Ends the log: a last line without newline becomes an event. Gives the SHA-256 of the artifact,
   * and that of each of `parts`.
   */
  finish(): Promise<{ readonly sha256: string; readonly parts: readonly LogPart[] }>;
}

/**
 * Opens an attempt's recording where the last checkpoint left it, in this process or another that
 * was killed. What stands in the files behind the checkpoint is cut off and comes again from the
 * guest's log: byte offsets are identity, so nothing is lost or doubled. Secrets are masked before
 * anything is written; the masks have the secrets' lengths.
 */
export async function openRecording(
  files: AttemptFiles,
  now: () => number,
  limitBytes: number = MAX_LOG_BYTES,
  redactor: Redactor = createRedactor([]),
): Promise<Recording> {
  await makeFolder(files.folder);
  const state = await readJson<FollowState>(files.follow);
  const parser = createStreamParser(state?.parser);
  const begin = state?.parser.resumeOffset ?? 0;
  let offset = begin;
  // What came before shows where a secret ends that reaches over the beginning.
  let next = Math.max(0, begin - redactor.reach);
  const clean = redactor.stream(begin - next);
  const earlier = state?.parts ?? [];
  const sum = createHash('sha256');
  let eventsBytes = state?.eventsBytes ?? 0;
  let summary = state?.summary ?? emptySummary;
  const startedAt = state?.startedAt ?? now();
  const followed = stopwatch(state?.followedMs);
  let silent = stopwatch(state?.silentMs);
  let saved = stopwatch();
  // A new attempt's beginning counts as well: its limits are measured from there.
  let unsaved = state === undefined;
  // The parser is ahead of the events on disk: nobody may go on from there.
  let torn = false;
  let queue = Promise.resolve();
  // A follower that was taken for dead may still have these files open, and come back.
  const log = await takeOver(files.log, offset);
  const events = await takeOver(files.events, eventsBytes).catch(async (error: unknown) => {
    await log.close();
    throw error;
  });

  /** One thing at a time: a checkpoint never sees half a chunk. */
  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = queue.then(step);
    queue = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  /** The parts, the last of them as far as it came. */
  const partsSoFar = (): readonly LogPart[] =>
    next <= begin ? earlier : [...earlier, { from: begin, to: next, sha256: sum.copy().digest('hex') }];

  /** Writes bytes that are free of secrets, and their events. */
  async function store(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    await writeAll(log, bytes, offset);
    await append(() => parser.push(bytes));
    offset += bytes.length;
  }

  async function append(parse: () => ReturnType<typeof parser.push>): Promise<void> {
    torn = true;
    const at = now();
    // Without what divided it in the log, a secret may be whole now.
    const parsed = redactor.value(parse());
    const text = Buffer.from(serializeEvents(parsed, at));
    await writeAll(events, text, eventsBytes);
    eventsBytes += text.length;
    summary = summarize(summary, parsed, at);
    torn = false;
  }

  return {
    get next() {
      return next;
    },
    get holding() {
      return clean.holding;
    },
    get parts() {
      return redactor.reach === 0 ? [{ from: 0, to: next }] : partsSoFar();
    },
    get offset() {
      return offset;
    },
    get lines() {
      return parser.position().lines;
    },
    get summary() {
      return summary;
    },
    startedAt,
    limitBytes,
    get followedMs() {
      return followed();
    },
    get silentMs() {
      return silent();
    },
    write: (chunk) =>
      inTurn(async () => {
        const taken = chunk.subarray(0, limitBytes - next);
        await passFence();
        // Bytes from before the beginning are only shown to the redactor.
        if (redactor.reach > 0) sum.update(taken.subarray(Math.max(0, begin - next)));
        next += taken.length;
        await store(clean.push(taken));
        silent = stopwatch();
        unsaved = true;
        return taken.length === chunk.length;
      }),
    settle: () => inTurn(async () => store(clean.release())),
    checkpoint: (restMs = 0) =>
      inTurn(async () => {
        // Silence is saved as well, now and then and at the end: it is known when somebody else goes on.
        if (torn || (!unsaved && saved() < restMs)) return;
        const times = { startedAt, followedMs: followed(), silentMs: silent() };
        const parts = redactor.reach === 0 ? {} : { parts: partsSoFar() };
        const follow: FollowState = {
          parser: redactor.value(parser.snapshot()),
          eventsBytes,
          summary,
          ...times,
          ...parts,
        };
        await whenThereIsRoom(() => writeJson(files.follow, follow));
        unsaved = false;
        saved = stopwatch();
      }),
    async finish() {
      await queue;
      await store(clean.release());
      await append(() => parser.end());
      await Promise.all([log.sync(), events.sync()]);
      const sha256 = await sha256Of(files.log);
      return { sha256, parts: redactor.reach === 0 ? [{ from: 0, to: offset, sha256 }] : partsSoFar() };
    },
    async [Symbol.asyncDispose]() {
      await log.close();
      await events.close();
    },
  };
}

/** What an attempt has left here whose end nobody waited for: as far as it was followed. */
export async function readUnfinished(
  files: AttemptFiles,
): Promise<{ readonly phases: StreamSummary['phases']; readonly log: LogSummary } | undefined> {
  const state = await readJson<FollowState>(files.follow);
  if (!state) return undefined;
  const { size: bytes } = await stat(files.log);
  const { phases } = state.summary;
  return { phases, log: { bytes, lines: state.parser.lines, sha256: await sha256Of(files.log), verified: false } };
}

/**
 * Writes at a position rather than at the end: a writer that came back from the dead writes the same bytes to the same place. While
 * the disk is full it waits, and so does all that comes after: nothing more is read from the guest.
 */
async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    await whenThereIsRoom(async () => {
      written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
    });
  }
}
