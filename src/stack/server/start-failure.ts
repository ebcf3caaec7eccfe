import { NixproofError } from '../../domain/error.js';

/** What a server that did not start was up against. */
export type StartFailure = 'port-taken' | 'database' | 'other';

/** The server's own words, as far as they are known (temporalio/cli v1.5.1; SQLite's error texts). */
const SIGNS: readonly { readonly kind: StartFailure; readonly pattern: RegExp }[] = [
  { kind: 'port-taken', pattern: /address already in use|can't set \w+ port/i },
  {
    kind: 'database',
    pattern: /not a database|disk image is malformed|no such (table|column)|schema version|SQLite|readonly database/i,
  },
];

export function classifyStartFailure(log: string): StartFailure {
  return SIGNS.find(({ pattern }) => pattern.test(log))?.kind ?? 'other';
}

/** What a failed start is explained with. */
export interface StartFacts {
  readonly kind: StartFailure;
  /** `exit status 1`, or that it did not answer in time. */
  readonly how: string;
  readonly logTail: string;
  readonly logFile: string;
  readonly database: string;
  /** Of the server that was started. */
  readonly version: string;
  /** Of the server that wrote the database before, where known. */
  readonly writtenBy: string | undefined;
}

export function startFailed({ kind, how, logTail, logFile, database, version, writtenBy }: StartFacts): NixproofError {
  const details = { log: logTail.split('\n'), logFile, database, version };
  if (kind !== 'database') {
    return new NixproofError('SERVER_START_FAILED', `the local Temporal server did not start (${how}):\n${logTail}`, {
      hint: `read ${logFile}`,
      details,
    });
  }
  const writer = writtenBy === undefined || writtenBy === version ? '' : `; Temporal ${writtenBy} wrote it`;
  return new NixproofError(
    'SERVER_DATABASE_UNUSABLE',
    `Temporal ${version} cannot open its database ${database}${writer}:\n${logTail}`,
    {
      hint:
        `move ${database} (and -wal, -shm beside it) away to begin with an empty one: reports and artifacts of earlier runs stay` +
        (writer === '' ? '' : `; or put \`temporal\` ${writtenBy ?? ''} on PATH`),
      details,
    },
  );
}
