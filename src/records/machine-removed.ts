import { machineOf, runOfMachine } from '../domain/names.js';
import type { Layout } from '../host/paths.js';
import { readRunReport, runFiles, writeRunReport } from './artifacts.js';

/**
 * Puts on record that the machine of a run was removed after the run had ended, for `nixproof
 * debug` and the report. A machine of no such run leaves no record.
 * @param by the command that removed it
 */
export async function recordRemoval(layout: Layout, machine: string, by: string): Promise<void> {
  const run = runOfMachine(machine);
  const report = await readRunReport(layout.runs, run);
  if (!report || report.verdict === null || machineOf(report) !== machine) return;
  const at = new Date().toISOString();
  const note = `machine ${machine} was removed on ${at.slice(0, 10)} by \`${by}\``;
  const notes = [...report.notes, note];
  await writeRunReport(runFiles(layout.runs, run), { ...report, machineRemoved: { at, by }, notes });
}
