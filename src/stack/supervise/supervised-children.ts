import type { Work } from '../../domain/work.js';
import { startChild, type Child } from '../server/child.js';
import type { StackRegistration } from './stack-registration.js';
import { type RunningServer, startServerProcess, withoutTemporal } from '../server/server-process.js';
import type { StackFiles } from '../stack-files.js';
import { type Supervised, supervise } from './supervise.js';
import type { ServerExecutable } from '../server/temporal-server.js';

const WORKER_GRACE_MS = 10_000;
const SERVER_GRACE_MS = 5000;

/** What a holder keeps its children with. */
export interface Household {
  readonly files: StackFiles;
  readonly home: string;
  readonly registration: StackRegistration;
  readonly work: Work;
}

/** Keeps a running server running: on the same ports and the same database, so that its clients find it again. */
export function keepServer(household: Household, executable: ServerExecutable, server: RunningServer): Supervised {
  const { files, registration, work } = household;
  return supervise(server.child, {
    name: 'Temporal server',
    log: files.serverLog,
    graceMs: SERVER_GRACE_MS,
    start: () => startServerProcess(files, executable, server.where),
    onReplaced: (identity) => registration.note({ server: identity }),
    progress: work.progress,
  });
}

/** Starts the worker and keeps it running. */
export async function keepWorker(
  household: Household,
  command: readonly string[],
  server: RunningServer,
): Promise<Supervised> {
  const { files, registration, work } = household;
  const start = () => startWorkerProcess(household, command, server.address);
  const first = await start();
  await registration.note({ worker: first.identity });
  return supervise(first, {
    name: 'worker',
    log: files.workerLog,
    graceMs: WORKER_GRACE_MS,
    start,
    onReplaced: (identity) => registration.note({ worker: identity }),
    progress: work.progress,
  });
}

/** NIXPROOF_PARENT_PIPE tells the worker that the end of its standard input is the end of its parent, and so its own. */
function startWorkerProcess({ files, home }: Household, command: readonly string[], address: string): Promise<Child> {
  return startChild({
    argv: command,
    cwd: home,
    env: {
      ...withoutTemporal(process.env),
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: 'default',
      NIXPROOF_HOME: home,
      NIXPROOF_PARENT_PIPE: '1',
    },
    log: files.workerLog,
    parentPipe: true,
    outlivesUs: false,
  });
}
