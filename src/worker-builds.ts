import type { Client } from '@temporalio/client';
import { livePollers } from './host-directory.js';
import { build } from './version.js';

/**
 * What a worker calls itself to its server. It ends in its build, so that others see whose code
 * takes their tasks.
 */
export function workerIdentity(hostId: string): string {
  return `${hostId}@${process.pid} ${build}`;
}

/**
 * What to say where workers of other builds poll the shared queue too; undefined where there are
 * none.
 */
export async function otherBuildsNote(client: Client): Promise<string | undefined> {
  const others = (await livePollers(client)).filter((identity) => !identity.endsWith(` ${build}`));
  if (others.length === 0) return undefined;
  return `workers of other builds take tasks from this server too: ${others.join(', ')}; this is ${build}: run the same build on all hosts`;
}
