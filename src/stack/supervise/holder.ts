import { rm } from 'node:fs/promises';
import type { Work } from '../../domain/work.js';
import { ownIdentity, tryLock } from '../../host/lock.js';
import type { Layout } from '../../host/paths.js';
import type { ProcessIdentity } from '../../host/process.js';
import { openRegistration } from './stack-registration.js';
import { keepServer, keepWorker } from './supervised-children.js';
import { isNeeded } from '../membership/claims.js';
import { ownCommand } from '../membership/installation.js';
import { isUnfinished, untilUnneeded } from './needs.js';
import { type StackRecord, writeFailure } from '../membership/record.js';
import { endOrphans } from './orphans.js';
import { startServer } from '../server/server-process.js';
import { type StackFiles, stackFiles } from '../stack-files.js';
import { stackKey } from '../membership/stack-key.js';
import { getTemporalServer } from '../server/temporal-server.js';
import { makeFolder } from '../../host/files.js';

export interface HolderOptions {
  readonly layout: Layout;
  /** Its signal ends the stack in order, whoever uses it. */
  readonly work: Work;
  /** What is run as the worker; `nixproof worker` unless given. */
  readonly workerCommand?: readonly string[] | undefined;
  readonly onReady?: (stack: StackRecord) => void;
}

/**
 * Owns the local stack: starts server and worker, starts them again when they die, and ends them in order when nothing has
 * needed them for a moment or the signal says so. There is one holder a home: `busy` where another process is it.
 * @throws NixproofError why the stack could not be started or kept (also kept in failure.json, for those who wait)
 */
export async function runHolder(options: HolderOptions): Promise<'ended' | 'busy'> {
  const files = stackFiles(options.layout);
  const attempt = await tryLock(files.lock);
  if (attempt.status === 'held') return 'busy';
  const self = await ownIdentity();
  try {
    await makeFolder(files.leases);
    await rm(files.failure, { force: true });
    await endOrphans(files, options.work.progress);
    await hold(files, self, options);
    return 'ended';
  } catch (error) {
    if (options.work.signal.aborted) return 'ended';
    await writeFailure(files, self, error);
    throw error;
  } finally {
    await attempt.lock.release();
  }
}

/** What is acquired here is given back in the opposite order: nobody joins any more, then the worker ends, then the server. */
async function hold(files: StackFiles, self: ProcessIdentity, options: HolderOptions): Promise<void> {
  const { work, layout, workerCommand = ownCommand('worker') } = options;
  const executable = await getTemporalServer({ work });
  const key = await stackKey(layout);
  await using registration = openRegistration(files, self);
  const household = { files, home: layout.home, registration, work };

  const running = await startServer(files, executable, key, work, (child) =>
    registration.note({ server: child.identity }),
  );
  await using server = keepServer(household, executable, running);
  await using link = running.link;
  await using _ui = running.ui;
  await using worker = await keepWorker(household, workerCommand, running);
  await using open = { [Symbol.asyncDispose]: () => registration.withdraw() };

  const facts = { address: running.address, uiUrl: running.uiUrl, version: executable.version };
  const record = await registration.publish(facts);
  options.onReady?.(record);
  for (;;) {
    await Promise.race([untilUnneeded(files, link, work.signal), server.gaveUp, worker.gaveUp]);
    await open[Symbol.asyncDispose]();
    // A lease taken before the record went is seen now; who takes one after that finds no record, and waits for the lock.
    if (!(await isNeeded(files, (suite) => isUnfinished(link, suite)))) return;
    await registration.publish(facts);
  }
}
