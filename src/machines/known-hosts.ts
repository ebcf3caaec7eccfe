import type { Endpoint } from './machine.js';

/** A machine's pinned host key as a line of OpenSSH's known_hosts; no key is known of one that was never connected to. */
export function knownHostsLine({ host, port, hostKey }: Pick<Endpoint, 'host' | 'port' | 'hostKey'>): string {
  return `${port === 22 ? host : `[${host}]:${port}`} ${hostKey ?? ''}\n`;
}
