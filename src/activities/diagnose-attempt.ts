import { createReadStream } from 'node:fs';
import type { Diagnosis } from '../domain/diagnosis.js';
import type { TemplatesState } from '../healing/templates.js';
import { isErrno } from '../host/files.js';
import type { AttemptFiles } from '../records/artifacts.js';
import { diagnoseLog } from './diagnose-log.js';

/** What travels through history is small: so many diagnoses, so many lines of each, so many characters. */
const LIMITS = { diagnoses: 3, evidence: 3, chars: 300, captures: 4 } as const;

/**
 * Why an attempt failed, as its recorded log tells; empty where it tells nothing.
 * @param usual templates of lines that the same installer prints when it succeeds
 */
export async function diagnoseAttempt(files: AttemptFiles, usual?: TemplatesState): Promise<readonly Diagnosis[]> {
  const log = createReadStream(files.log, { highWaterMark: 1 << 18 });
  try {
    return clipped(await diagnoseLog(log as AsyncIterable<Buffer>, { ...(usual && { usual }), failed: true }));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  } finally {
    log.destroy();
  }
}

/** The best diagnoses, each cut to what may travel through history. */
export function clipped(diagnoses: readonly Diagnosis[]): readonly Diagnosis[] {
  return diagnoses.slice(0, LIMITS.diagnoses).map((diagnosis) => ({
    ...diagnosis,
    why: diagnosis.why.slice(0, LIMITS.chars),
    evidence: diagnosis.evidence.slice(0, LIMITS.evidence).map((line) => line.slice(0, LIMITS.chars)),
    captures: Object.fromEntries(Object.entries(diagnosis.captures).slice(0, LIMITS.captures)),
  }));
}
