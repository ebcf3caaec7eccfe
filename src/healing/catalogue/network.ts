import type { Diagnosis } from '../../domain/diagnosis.js';
import type { Heal } from '../../domain/heal.js';
import { quote } from '../../machines/quote.js';
import { hasDefaultRoute, ipv4Addresses, leaseOf, networkLinks } from '../parse-probes.js';
import { anywhere, onMachine, planOf } from './shell.js';
import { remoteOf, says } from './subjects.js';

/** Whoever asks for leases here is told to ask again, and waited for. */
const LEASE = `runs() { have systemctl && systemctl is-active --quiet "$1"; }
addressed() { ip -o addr show dev "$1" scope global | grep -q 'inet'; }
renew() {
  if runs systemd-networkd; then networkctl reconfigure "$1" || networkctl renew "$1" || systemctl restart systemd-networkd
  elif runs NetworkManager; then nmcli device reapply "$1" || nmcli device connect "$1"
  elif have dhcpcd; then dhcpcd -n "$1" || dhcpcd -t 30 "$1"
  elif have dhclient; then dhclient -1 "$1"
  elif have udhcpc; then udhcpc -n -q -t 5 -i "$1"
  elif have busybox && busybox --list 2>/dev/null | grep -qx udhcpc; then busybox udhcpc -n -q -t 5 -i "$1"
  else die 'nothing here asks for leases'; fi
  for second in $(seq 30); do ! addressed "$1" || return 0; sleep 1; done
  die "$1 got no address"
}`;

export const NETWORK: readonly Heal[] = [
  {
    name: 'bring-the-interface-up',
    for: ['network.unreachable', 'network.dns', 'ssh.connection'],
    scope: 'system',
    title: 'Bring the network interfaces up that are down and get them an address',
    confidence: 0.9,
    plan(evidence) {
      const down = networkLinks(evidence.probes).filter(({ isNetwork, isUp }) => isNetwork && !isUp);
      if (down.length === 0) return undefined;
      const names = quote(down.slice(0, 8).map(({ name }) => name));
      return planOf({
        commands: [
          onMachine(
            'bring-the-interface-up',
            LEASE,
            'raised=',
            `for link in ${names}; do`,
            '  ip link set dev "$link" up || continue',
            '  for second in $(seq 10); do [ "$(cat "/sys/class/net/$link/carrier" 2>/dev/null)" != 1 ] || break; sleep 1; done',
            '  if [ "$(cat "/sys/class/net/$link/carrier" 2>/dev/null)" = 1 ]; then raised="$raised $link"; fi',
            'done',
            '[ -n "$raised" ] || die "no interface has a link"',
            'got=',
            'for link in $raised; do if addressed "$link" || (renew "$link"); then got=1; fi; done',
            '[ -n "$got" ] || die "no interface got an address"',
          ),
        ],
        undo: [onMachine('bring-the-interface-up', `for link in ${names}; do ip link set dev "$link" down; done`)],
      });
    },
  },
  {
    name: 'renew-the-lease',
    for: ['network.unreachable', 'network.dns'],
    scope: 'system',
    title: 'Ask for a DHCP lease again',
    confidence: 0.78,
    plan(evidence) {
      const up = networkLinks(evidence.probes).filter(({ isNetwork, isUp }) => isNetwork && isUp);
      const bare = hasDefaultRoute(evidence.probes) ? up.filter(({ hasAddress }) => !hasAddress) : up;
      if (bare.length === 0) return undefined;
      const names = quote(bare.slice(0, 8).map(({ name }) => name));
      return planOf({
        commands: [
          onMachine(
            'renew-the-lease',
            LEASE,
            'got=',
            `for link in ${names}; do if (renew "$link"); then got=1; fi; done`,
            '[ -n "$got" ]',
          ),
        ],
      });
    },
  },
  {
    name: 'add-the-default-route',
    for: ['network.unreachable', 'network.dns'],
    scope: 'system',
    title: 'Set the default route to the gateway that DHCP named, or the first of the network that is there',
    confidence: 0.85,
    plan(evidence) {
      const addresses = ipv4Addresses(evidence.probes);
      if (hasDefaultRoute(evidence.probes) || addresses.length === 0) return undefined;
      const told = leaseOf(evidence.probes).routers.filter((router) => !router.includes(':'));
      const ways = addresses.flatMap(({ interface: link, address, prefix }) =>
        [...told, ...likelyGateways(address, prefix)].map((gateway) => `${gateway} ${link}`),
      );
      return planOf({
        commands: [
          onMachine(
            'add-the-default-route',
            `printf '%s\\n' ${quote([...new Set(ways)].slice(0, 8))} | {`,
            '  while read -r gateway link; do',
            '    ip route replace default via "$gateway" dev "$link" 2>/dev/null || continue',
            // What is no gateway has no answer to who it is.
            '    ip neigh flush to "$gateway" dev "$link" 2>/dev/null || true',
            '    if have ping; then ping -c 1 -W 2 "$gateway" >/dev/null 2>&1 || true; elif have curl; then curl -s -m 3 "http://$gateway/" >/dev/null 2>&1 || true; else getent hosts cache.nixos.org >/dev/null 2>&1 || true; fi',
            '    ip neigh show to "$gateway" dev "$link" | grep -q lladdr && exit 0',
            '    ip route del default via "$gateway" dev "$link"',
            '  done',
            '  die "no gateway answers"',
            '}',
          ),
        ],
        undo: [onMachine('add-the-default-route', 'ip route del default 2>/dev/null || true')],
      });
    },
  },
  {
    name: 'restart-the-network',
    for: ['network.unreachable', 'network.dns', 'ssh.connection'],
    scope: 'system',
    title: 'Restart the service that configures the network',
    confidence: 0.5,
    plan(evidence) {
      const links = networkLinks(evidence.probes).filter(({ isNetwork }) => isNetwork);
      const isWell =
        links.some(({ hasAddress, hasCarrier }) => hasAddress && hasCarrier) && hasDefaultRoute(evidence.probes);
      if (links.length === 0 || isWell) return undefined;
      return planOf({
        commands: [
          onMachine(
            'restart-the-network',
            'have systemctl || die "no systemd here"',
            'restarted=',
            'for unit in systemd-networkd NetworkManager dhcpcd networking; do',
            '  systemctl is-enabled --quiet "$unit" 2>/dev/null || systemctl is-active --quiet "$unit" || continue',
            '  systemctl reset-failed "$unit" 2>/dev/null || true',
            '  ! systemctl restart "$unit" || restarted=1',
            'done',
            '[ -n "$restarted" ] || die "nothing here configures the network"',
            'for second in $(seq 30); do ! ip -o addr show scope global | grep -q inet || exit 0; sleep 1; done',
            'die "no interface got an address"',
          ),
        ],
      });
    },
  },
  {
    name: 'wait-for-the-host',
    for: ['network.unreachable', 'network.dns', 'network.http', 'ssh.connection'],
    scope: 'files',
    title: 'Ask the host again, less and less often, until it answers',
    confidence: 0.75,
    plan(evidence) {
      const remote = remoteOf(evidence.diagnosis);
      if (remote === undefined || (evidence.diagnosis.class === 'network.http' && !mayPass(evidence.diagnosis)))
        return undefined;
      return planOf({ commands: [waitFor(remote.host, remote.url, evidence.diagnosis.class === 'ssh.connection')] });
    },
  },
  {
    name: 'wait-as-told',
    for: ['network.rate-limit'],
    scope: 'files',
    title: 'Wait as long as the server asks, a minute where it does not say, and go on',
    confidence: 0.75,
    plan({ diagnosis }) {
      const pauses = pausesFor(secondsTold(diagnosis));
      return pauses && planOf({ commands: pauses.map((seconds) => `sleep ${seconds}`) });
    },
  },
  {
    name: 'run-again',
    for: ['timeout', 'unknown', 'memory.oom', 'network.unreachable', 'network.http', 'ssh.connection'],
    scope: 'files',
    title: 'Change nothing and run again',
    confidence: 0.4,
    plan(evidence) {
      const { class: name, evidence: lines, rule } = evidence.diagnosis;
      const passes =
        name === 'timeout' ||
        // Where it said nothing, it was stopped or killed.
        (name === 'unknown' &&
          (lines.length === 0 || says(evidence, /\b(?:killed|terminated|signal|SIG[A-Z]+|hangup)\b/i))) ||
        rule === 'memory.oom/signal-9' ||
        rule === 'network.unreachable/lost' ||
        (name === 'network.http' && mayPass(evidence.diagnosis)) ||
        (name === 'ssh.connection' && says(evidence, /reset|closed|lost|broken/i));
      return passes ? planOf({}) : undefined;
    },
  },
];

/** The first addresses of a network: what routers have by custom, and QEMU's user network (.2). */
function likelyGateways(address: string, prefix: number): readonly string[] {
  if (prefix < 8 || prefix > 30) return [];
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - prefix);
  const first = value - (value % size);
  const dotted = (at: number) => [24, 16, 8, 0].map((shift) => Math.floor(at / 2 ** shift) % 256).join('.');
  return [first + 1, first + 2, first + size - 2].filter((at) => at !== value).map(dotted);
}

/** A server's own error may pass, what it refuses it goes on refusing. */
function mayPass({ captures, evidence }: Diagnosis): boolean {
  const status = captures['status'] ?? evidence.map((line) => /\b(5\d\d|4\d\d)\b/.exec(line)?.[1]).find(Boolean);
  return status?.startsWith('5') === true || status === '408';
}

/** At most five minutes. The host is there once anything answers, a server's error (5xx) apart. */
function waitFor(host: string, url: string | undefined, isShell: boolean): string {
  const asked = quote([url ?? `https://${host}/`]);
  return anywhere(
    'wait-for-the-host',
    'answers() {',
    isShell
      ? `  if have ssh-keyscan; then ssh-keyscan -T 5 ${quote([host])} 2>/dev/null | grep -q . && return 0; return 1; fi`
      : '',
    '  if have curl; then',
    `    code=$(curl -s -o /dev/null -w '%{http_code}' --connect-timeout 5 -m 10 ${asked}) && status=0 || status=$?`,
    '    case $status in 5 | 6 | 7 | 28 | 52 | 55 | 56) return 1 ;; esac',
    '    case $code in 5?? | 429) return 1 ;; esac',
    '    return 0',
    '  fi',
    `  if have wget; then wget -q -T 5 -t 1 -O /dev/null ${asked}; return; fi`,
    `  getent hosts ${quote([host])} >/dev/null`,
    '}',
    'for pause in 1 2 4 8 15 30 30 30 30 30; do ! answers || exit 0; sleep "$pause"; done',
    `answers || die ${quote([`${host} does not answer`])}`,
  );
}

const UNITS: readonly (readonly [RegExp, number])[] = [
  [/retry[- ]after:? ?(\d+)/i, 1],
  [/(?:in|after|for|wait) (\d+) ?(?:s|sec\w*)\b/i, 1],
  [/(?:in|after|for|wait) (\d+) ?(?:m|min\w*)\b/i, 60],
];
const UNTOLD_SECONDS = 60;
/** What asks for longer is not waited for. */
const LONGEST_SECONDS = 1800;
const LONGEST_PAUSE_SECONDS = 300;

function secondsTold({ evidence }: Diagnosis): number {
  for (const [pattern, seconds] of UNITS) {
    for (const line of evidence) {
      const told = pattern.exec(line)?.[1];
      if (told !== undefined) return Number(told) * seconds;
    }
  }
  return UNTOLD_SECONDS;
}

function pausesFor(seconds: number): readonly number[] | undefined {
  if (seconds > LONGEST_SECONDS) return undefined;
  // A second more than was asked for: clocks differ.
  const whole = Array.from({ length: Math.floor((seconds + 1) / LONGEST_PAUSE_SECONDS) }, () => LONGEST_PAUSE_SECONDS);
  const rest = (seconds + 1) % LONGEST_PAUSE_SECONDS;
  return rest === 0 ? whole : [...whole, rest];
}
