import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { layoutOf } from '../src/host/paths.js';
import { sealingKey, type SealingKey } from '../src/temporal/key.js';

/**
 * The key of the recorded histories, and of tests in which several homes use one server. It
 * protects nothing.
 */
export const TEST_KEY = fileURLToPath(new URL('./fixtures/histories/sealing.key', import.meta.url));
// A checkout makes it readable for all.
chmodSync(TEST_KEY, 0o600);

export function testKey(): Promise<SealingKey> {
  return sealingKey(layoutOf('/nonexistent'), { NIXPROOF_KEY_FILE: TEST_KEY });
}
