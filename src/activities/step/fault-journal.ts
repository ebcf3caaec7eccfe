import type { FaultResult } from '../../domain/fault.js';
import { readJson, writeJson } from '../../host/files.js';
import type { RunFiles } from '../../records/artifacts.js';

/** faults.json: one entry for each fault that was injected, or could not be. Each is injected once a run. */
export type JournalEntry = FaultResult & {
  /** When a pulled cable is plugged in again, milliseconds since the epoch. */
  readonly until?: number;
  /** The process id of a worker that was killed. */
  readonly worker?: number;
};

export async function readFaults({ faults }: RunFiles): Promise<readonly JournalEntry[]> {
  return (await readJson<readonly JournalEntry[]>(faults)) ?? [];
}

/** Writes an entry in place of the one for the same request. */
export async function noteFault(files: RunFiles, entry: JournalEntry): Promise<void> {
  const others = (await readFaults(files)).filter(({ request }) => request !== entry.request);
  await writeJson(files.faults, [...others, entry]);
}

/** What travels through history: bounded. */
export async function faultResults(files: RunFiles): Promise<readonly FaultResult[]> {
  return (await readFaults(files)).map(({ name, phase, at, seen, request, refused }) => ({
    name,
    phase,
    at,
    seen,
    request,
    ...(refused === undefined ? {} : { refused }),
  }));
}
