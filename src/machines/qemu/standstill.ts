import { setTimeout as delay } from 'node:timers/promises';
import { connectQmp } from './qmp.js';

/** A guest that still finds no room stands still again at its next write, which comes at once: that of before. */
const AGAIN_MS = 1000;

/**
 * Lets a guest go on that QEMU has stopped because this host's disk had no room for what the guest wrote to its own (qemu-system(1):
 * werror=enospc). Nothing of that is lost: the guest's time stands still.
 * @throws Error `ENOSPC` while there is no room yet
 */
export async function endStandstill(qmpSocket: string): Promise<void> {
  // Without a QEMU nothing stands still.
  const qmp = await connectQmp(qmpSocket).catch(() => undefined);
  if (!qmp) return;
  await using conversation = qmp;
  const standsStill = async () => {
    const { status } = (await conversation.execute('query-status')) as { readonly status: string };
    return status === 'io-error';
  };
  if (!(await standsStill())) return;
  await conversation.execute('cont');
  await delay(AGAIN_MS);
  if (!(await standsStill())) return;
  const message = 'ENOSPC: the machine stands still, for its disk finds no room on this host';
  throw Object.assign(new Error(message), { code: 'ENOSPC' });
}
