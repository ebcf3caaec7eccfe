import type { ServerLink } from '../client.js';
import { hasCode, NixproofError } from '../domain/error.js';
import type { RunReport } from '../domain/run.js';
import { listRunReports, readRunReport } from '../records/artifacts.js';
import { FORGOTTEN, noteOtherKeys, serverAtHand } from './server.js';
import type { Session } from './session.js';

/** How many runs of a server elsewhere are listed. */
const LISTED = 50;

/** A run in full, as it is now. @throws NixproofError `CONFIG_UNKNOWN_RUN`, `SERVER_KEY_DIFFERS` */
export async function findRun(session: Session, run: string): Promise<RunReport> {
  const recorded = await readRunReport(session.layout.runs, run);
  if (recorded && recorded.verdict !== null) return recorded;
  const atHand = await serverAtHand(session);
  const { server } = atHand;
  try {
    return await openRun(server?.link, run, recorded, atHand.server ? undefined : atHand.state);
  } finally {
    await server?.[Symbol.asyncDispose]();
  }
}

/**
 * A run without a verdict on this host, as the server at hand knows it.
 * @param recorded what this host has of it
 * @param state what its state is where no server is at hand
 * @throws NixproofError `CONFIG_UNKNOWN_RUN`, `SERVER_KEY_DIFFERS`
 */
export async function openRun(
  link: ServerLink | undefined,
  run: string,
  recorded: RunReport | undefined,
  state?: string,
): Promise<RunReport> {
  const live = link && (await liveReport(link, run));
  if (live) return { ...live, metrics: recorded?.metrics ?? {} };
  if (recorded) return state === undefined ? await asKnown(link, recorded) : { ...recorded, state };
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
  const atHand = await serverAtHand(session);
  const { server } = atHand;
  try {
    if (!server) {
      const { state } = atHand;
      return recorded.map((report) => (report.verdict === null ? { ...report, state } : report));
    }
    const known = new Set(recorded.map(({ run }) => run));
    const { listRuns } = await import('../client.js');
    const elsewhere = (await listRuns(server.link, LISTED)).filter((run) => !known.has(run));
    const sealed = new Set<string>();
    const shown = (run: string) =>
      liveReport(server.link, run).catch((error: unknown) => {
        if (!hasCode(error, 'SERVER_KEY_DIFFERS')) throw error;
        sealed.add(run);
        return undefined;
      });
    const live = await Promise.all([...open, ...elsewhere].map(shown));
    await noteOtherKeys(session, server.link, 'suites');
    const fresh = new Map(live.filter((report) => report !== undefined).map((report) => [report.run, report]));
    const merged = await Promise.all(
      recorded.map(async (report) => {
        if (report.verdict !== null) return report;
        if (sealed.has(report.run)) return { ...report, state: 'sealed with another key' };
        return fresh.get(report.run) ?? (await asKnown(server.link, report));
      }),
    );
    const others = elsewhere.map((run) => fresh.get(run)).filter((report) => report !== undefined);
    return [...merged, ...others].sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  } finally {
    await server?.[Symbol.asyncDispose]();
  }
}

/** An open run that no worker answers for, as this home has it on record. */
async function asKnown(link: ServerLink | undefined, recorded: RunReport): Promise<RunReport> {
  const { isKnown } = await import('../client.js');
  return link && !(await isKnown(link, recorded.run)) ? { ...recorded, state: FORGOTTEN } : recorded;
}

/** A run that was asked for, and that no worker has begun or answers for. */
async function waitingRun(link: ServerLink, run: string): Promise<RunReport | undefined> {
  const { requestedRun } = await import('../client.js');
  const { waitingReport } = await import('./results.js');
  const requested = await requestedRun(link, run);
  return requested && waitingReport(requested);
}

/** @throws NixproofError `SERVER_KEY_DIFFERS` */
async function liveReport(link: ServerLink, run: string): Promise<RunReport | undefined> {
  const { queryRun } = await import('../client.js');
  // Without a worker nobody answers: then what is recorded has to do.
  const report = await queryRun(link, run).catch((error: unknown) => {
    if (hasCode(error, 'SERVER_KEY_DIFFERS')) throw error;
    return undefined;
  });
  if (report?.verdict !== null) return report;
  return { ...report, durationMs: Date.now() - Date.parse(report.startedAt) };
}
