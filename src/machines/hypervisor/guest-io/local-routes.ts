import type { HostAddress } from './packet-filter.js';

/**
 * What Linux delivers to this host itself: also addresses of interfaces without carrier, which
 * Node's list leaves out, and networks that are routed to it.
 * @param trie /proc/net/fib_trie: `|-- 10.0.2.15` and below it `/32 host LOCAL`
 * @param inet6 /proc/net/if_inet6: an address of 32 hexadecimal digits begins each line
 */
export function localRoutes(trie: string, inet6: string): readonly HostAddress[] {
  const found: HostAddress[] = [];
  let address = '';
  for (const line of trie.split('\n')) {
    address = /\|-- ([\d.]{7,15})$/.exec(line)?.[1] ?? address;
    const prefix = /^ *\/(\d{1,2}) host LOCAL$/.exec(line)?.[1];
    if (prefix !== undefined && address !== '') found.push({ address, prefix: Number(prefix) });
  }
  for (const line of inet6.split('\n')) {
    const groups = /^([\da-f]{32}) /.exec(line)?.[1]?.match(/.{4}/g);
    if (groups) found.push({ address: groups.join(':'), prefix: 128 });
  }
  return found;
}
