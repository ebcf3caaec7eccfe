import type { NetworkCable } from '../machine.js';
import { NETWORK } from './command-line.js';
import { connectQmp } from './qmp.js';

/**
 * The cable of a machine's network card (QMP `set_link`). The card is told as well: the guest sees its carrier go, and asks for
 * its address anew when it comes back.
 */
export function networkCable(qmpSocket: string): NetworkCable {
  return {
    async setPlugged(plugged) {
      await using qmp = await connectQmp(qmpSocket);
      await qmp.execute('set_link', { name: NETWORK, up: plugged });
    },
  };
}
