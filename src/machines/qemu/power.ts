import { isAlive, signalIfThere, waitUntil, type ProcessIdentity } from '../../host/process.js';

const END_MS = 10_000;

/** Ends a QEMU as a power cut does: at once, nothing written back. Resolves when it is gone. */
export async function cutPower(identity: ProcessIdentity): Promise<void> {
  if (await isAlive(identity)) signalIfThere(identity.pid, 'SIGKILL');
  await waitUntil(async () => !(await isAlive(identity)), END_MS, { everyMs: 5 });
}
