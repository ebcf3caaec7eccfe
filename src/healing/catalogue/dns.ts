import type { Evidence, Heal, HealPlan } from '../../domain/heal.js';
import { quote } from '../../machines/quote.js';
import { WELL_KNOWN_NAMES } from '../probes.js';
import { gateways, hasDefaultRoute, leaseOf, namesResolve, resolvers } from '../parse-probes.js';
import { anywhere, onMachine, planOf } from './shell.js';
import { isSandbox, remoteOf } from './subjects.js';

const PUBLIC_RESOLVERS = ['1.1.1.1', '9.9.9.9', '8.8.8.8'] as const;

/**
 * Writes a resolver into resolv.conf, the first of a list that resolves a name, and keeps what was there. In a sandbox, whose
 * names are resolved by its host, the first of the list stands untried.
 */
function useResolvers(heal: string, candidates: readonly string[], evidence: Evidence): HealPlan {
  const host = remoteOf(evidence.diagnosis)?.host;
  const names = host === undefined ? WELL_KNOWN_NAMES : [host, ...WELL_KNOWN_NAMES];
  return planOf({
    commands: [
      anywhere(
        heal,
        'conf=$root/etc/resolv.conf',
        'mkdir -p "$state" "$root/etc"',
        '[ -e "$state/was" ] || { if [ -e "$conf" ] || [ -L "$conf" ]; then cp -P "$conf" "$state/resolv.conf"; fi; touch "$state/was"; }',
        // A link leads to what another program writes over; where it cannot be removed it is mounted, and written in place.
        'rm -f "$conf" 2>/dev/null || true',
        'resolves() { if have timeout; then timeout 12 getent hosts "$1"; else getent hosts "$1"; fi >/dev/null 2>&1; }',
        `for resolver in ${quote(candidates)}; do`,
        `  printf 'nameserver %s\\noptions timeout:2 attempts:2\\n' "$resolver" >"$conf"`,
        '  [ -z "$root" ] || exit 0',
        '  ! have nscd || nscd -i hosts 2>/dev/null || true',
        `  for name in ${quote(names)}; do ! resolves "$name" || exit 0; done`,
        'done',
        `die ${quote([`no resolver answers: ${candidates.join(', ')}`])}`,
      ),
    ],
    undo: [
      anywhere(
        heal,
        '[ -e "$state/was" ] || exit 0',
        'conf=$root/etc/resolv.conf',
        'if rm -f "$conf" 2>/dev/null; then [ ! -e "$state/resolv.conf" ] && [ ! -L "$state/resolv.conf" ] || cp -P "$state/resolv.conf" "$conf"',
        'else cat "$state/resolv.conf" >"$conf"; fi',
        'rm -rf "$state"',
      ),
    ],
  });
}

/** QEMU's user network answers names at the address after its gateway's (libslirp: .2 and .3). */
function addressAfter(address: string): string {
  const last = Number(address.slice(address.lastIndexOf('.') + 1));
  return last < 254 ? `${address.slice(0, address.lastIndexOf('.') + 1)}${last + 1}` : address;
}

export const DNS: readonly Heal[] = [
  {
    name: 'use-the-networks-resolver',
    for: ['network.dns'],
    scope: 'files',
    title: 'Ask the resolver that DHCP named, or the gateway, for names',
    confidence: 0.85,
    plan(evidence) {
      const near = [...leaseOf(evidence.probes).resolvers, ...gateways(evidence.probes)];
      const guessed = gateways(evidence.probes).map(addressAfter);
      const used = resolvers(evidence.probes);
      const candidates = [...new Set([...near, ...guessed])].filter((address) => used[0] !== address);
      return candidates.length === 0 ? undefined : useResolvers('use-the-networks-resolver', candidates, evidence);
    },
  },
  {
    name: 'use-public-resolvers',
    for: ['network.dns'],
    scope: 'files',
    title: 'Ask public resolvers for names',
    confidence: 0.7,
    plan(evidence) {
      // Where other names resolve, this one is not there: no other resolver of the public's knows it.
      if (namesResolve(evidence.probes) || (!isSandbox(evidence) && !hasDefaultRoute(evidence.probes)))
        return undefined;
      const used = resolvers(evidence.probes);
      const candidates = PUBLIC_RESOLVERS.filter((address) => used[0] !== address);
      return useResolvers('use-public-resolvers', candidates, evidence);
    },
  },
  {
    name: 'restart-the-resolver',
    for: ['network.dns'],
    scope: 'system',
    title: 'Restart the local resolver and forget what it remembers',
    confidence: 0.5,
    plan(evidence) {
      const local = resolvers(evidence.probes).some((address) => address.startsWith('127.') || address === '::1');
      if (!local || namesResolve(evidence.probes)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'restart-the-resolver',
            'have systemctl || die "no systemd here"',
            'restarted=',
            'for unit in systemd-resolved dnsmasq unbound nscd; do',
            '  systemctl cat "$unit" >/dev/null 2>&1 || continue',
            '  systemctl reset-failed "$unit" 2>/dev/null || true',
            '  ! systemctl restart "$unit" || restarted=1',
            'done',
            '[ -n "$restarted" ] || die "no resolver of this machine could be started"',
          ),
        ],
      });
    },
  },
];
