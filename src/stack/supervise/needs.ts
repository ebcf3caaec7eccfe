import { WorkflowNotFoundError } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerLink } from '../../temporal/connection.js';
import { isNeeded } from '../membership/claims.js';
import type { StackFiles } from '../stack-files.js';

const LOOK_EVERY_MS = 300;
/** So that one command after another finds the stack still there. */
const GRACE_MS = 1000;

/** Resolves when nothing has needed the stack for the grace. @throws the signal's reason */
export async function untilUnneeded(files: StackFiles, link: ServerLink, signal: AbortSignal): Promise<void> {
  let idleSince: number | undefined;
  for (;;) {
    const needed = await isNeeded(files, (suite) => isUnfinished(link, suite));
    if (needed) idleSince = undefined;
    else idleSince ??= performance.now();
    if (idleSince !== undefined && performance.now() - idleSince >= GRACE_MS) return;
    await delay(LOOK_EVERY_MS, undefined, { signal });
  }
}

/** Whether a suite's workflow still runs. While the server cannot be asked, it does. */
export async function isUnfinished({ client }: ServerLink, suite: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(suite).describe()).status.name === 'RUNNING';
  } catch (error) {
    return !(error instanceof WorkflowNotFoundError);
  }
}
