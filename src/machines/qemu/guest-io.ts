import path from 'node:path';
import { keepGuestIo } from '../guest-io/guest-io.js';
import { FILTER, filterProperties } from '../guest-io/sockets.js';
import { NETWORK, SOCKETS } from './command-line.js';
import { socketsFolder } from './launch.js';
import { connectQmp } from './qmp.js';

/**
 * Starts the process beside a machine's QEMU again where it has ended. QEMU's filter takes no packets
 * from a second one (net/filter-mirror.c: its handlers go with the connection), so it is replaced;
 * the guest stands still meanwhile, for without a filter its packets would go everywhere.
 */
export async function mendGuestIo(folder: string, signal: AbortSignal): Promise<void> {
  await keepGuestIo(folder, signal, async (start) => {
    await using qmp = await connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp));
    await qmp.execute('stop');
    // An earlier try may have been cut off between the two.
    await qmp.execute('object-del', { id: FILTER }).catch(() => undefined);
    const filter = { 'qom-type': 'filter-redirector', id: FILTER, ...filterProperties(NETWORK) };
    await qmp.execute('object-add', filter);
    await start();
    await qmp.execute('cont');
  });
}
