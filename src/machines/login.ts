import path from 'node:path';
import type { Layout } from '../host/paths.js';
import { type KeyPair, keyPairAt } from './keys.js';

/** The bench's own login: root of every machine of this home. */
export function benchKey(layout: Layout): Promise<KeyPair> {
  return keyPairAt(path.join(layout.home, 'ssh', 'id_ed25519'), 'nixproof');
}
