import type { ServerLink } from '../client.js';
import { NixproofError } from '../domain/error.js';
import type { RunReport } from '../domain/run.js';
import { listRunReports, readRunReport } from '../records/artifacts.js';
import { serverAtHand } from './server.js';
import type { Session } from './session.js';

/** How many runs of a server elsewhere are listed. */
const LISTED = 50;

/** Said of a run whose verdict is open while no stack runs that could go on with it. */
const RESTING = 'interrupted: `nixproof up` goes on with it';

/** A run in full, as it is now. @throws NixproofError `CONFIG_UNKNOWN_RUN` */
export async function findRun(session: Session, run: string): Promise<RunReport> {
  const recorded = await readRunReport(session.layout.runs, run);
  if (recorded && recorded.verdict !== null) return recorded;
  const server = await serverAtHand(session);
  try {
    return await openRun(server?.link, run, recorded);
  } finally {
    await server?.[Symbol.asyncDispose]();
  }
}

/**
 * A run without a verdict on this host, as the server at hand knows it.
 * @param recorded what this host has of it
 * @throws NixproofError `CONFIG_UNKNOWN_RUN`
 */
export async function openRun(
  link: ServerLink | undefined,
  run: string,
  recorded: RunReport | undefined,
): Promise<RunReport> {
  const live = link && (await liveReport(link, run));
  if (live) return { ...live, metrics: recorded?.metrics ?? {} };
  if (recorded) return { ...recorded, state: link ? recorded.state : RESTING };
  const waiting = link && (await waitingRun(link, run));
  if (waiting) return waiting;
  throw new NixproofError('CONFIG_UNKNOWN_RUN', `there is no run ${run}`, {
    hint: 'see `nixproof status` for the runs there are',
  });
}

/** The runs of this host, and of a server elsewhere; newest first. */
export async function findRuns(session: Session): Promise<readonly RunReport[]> {
  const recorded = await listRunReports(session.layout.runs);
  const open = new Set(recorded.filter(({ verdict }) => verdict === null).map(({ run }) => run));
  const server = await serverAtHand(session);
  try {
    if (!server) return recorded.map((report) => (report.verdict === null ? { ...report, state: RESTING } : report));
    const known = new Set(recorded.map(({ run }) => run));
    const { listRuns } = await import('../client.js');
    const elsewhere = (await listRuns(server.link, LISTED)).filter((run) => !known.has(run));
    const live = await Promise.all([...open, ...elsewhere].map((run) => liveReport(server.link, run)));
    const fresh = new Map(live.filter((report) => report !== undefined).map((report) => [report.run, report]));
    const merged = recorded.map((report) => fresh.get(report.run) ?? report);
    const others = elsewhere.map((run) => fresh.get(run)).filter((report) => report !== undefined);
    return [...merged, ...others].sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  } finally {
    await server?.[Symbol.asyncDispose]();
  }
}

/** A run that was asked for, and that no worker has begun or answers for. */
async function waitingRun(link: ServerLink, run: string): Promise<RunReport | undefined> {
  const { requestedRun } = await import('../client.js');
  const { waitingReport } = await import('./results.js');
  const requested = await requestedRun(link, run);
  return requested && waitingReport(requested);
}

async function liveReport(link: ServerLink, run: string): Promise<RunReport | undefined> {
  const { queryRun } = await import('../client.js');
  // Without a worker nobody answers: then what is recorded has to do.
  return queryRun(link, run).catch(() => undefined);
}
