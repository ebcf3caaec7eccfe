import { isKept, type RunReport } from '../domain/run.js';
import type { Layout } from '../host/paths.js';
import { readRunRequest } from '../records/artifacts.js';

/** What became of a run's machine that is not on this host, in one sentence. */
export async function machineFate(layout: Layout, report: RunReport): Promise<string> {
  const { run, verdict, host, machineRemoved } = report;
  const request = await readRunRequest(layout.runs, run);
  const what = `the machine of run ${run}`;
  if (!request) return `${what} is not on this host${host === undefined ? '' : `: the run is on ${host}`}`;
  if (verdict === null) return `${what} is not there: the run has not ended and has none now`;
  if (machineRemoved) return `${what} was removed on ${machineRemoved.at.slice(0, 10)} by \`${machineRemoved.by}\``;
  if (isKept(request.keep, verdict)) return `${what} was kept and is gone: nothing says what removed it`;
  return `${what} was released when the run ended: it was tested with --keep ${request.keep}, and ${verdict}`;
}
