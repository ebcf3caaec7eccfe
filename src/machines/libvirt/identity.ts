import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Layout } from '../../host/paths.js';
import { machineFolder } from '../record.js';

/** What tells a machine's domain from all others: derived from its folder, so that a half-made one is found again too. */
export interface DomainIdentity {
  readonly id: string;
  /** `nixproof-<id>`. */
  readonly name: string;
  readonly uuid: string;
  /** Of its network card. */
  readonly mac: string;
  /** Names the home, in the domain's metadata. */
  readonly home: string;
}

export function domainIdentity(layout: Layout, id: string): DomainIdentity {
  const hash = sha256(path.resolve(machineFolder(layout, id)));
  return {
    id,
    name: `nixproof-${id}`,
    uuid: uuidOf(hash),
    // 52:54:00 is QEMU's and libvirt's.
    mac: ['52', '54', '00', hash.slice(32, 34), hash.slice(34, 36), hash.slice(36, 38)].join(':'),
    home: sha256(path.resolve(layout.home)).slice(0, 16),
  };
}

/** Version 8, variant 1 (RFC 9562): a UUID of one's own making. */
function uuidOf(hash: string): string {
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
