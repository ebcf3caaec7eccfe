import type { Fault } from './fault.js';
import { injecting, looking, takingBack } from './shell.js';

const SECONDS_DOWN = 40;
/** The interface of the default route, which is how packets leave. */
const WAY_OUT = `link=$(ip route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)
[ -n "$link" ] || die 'this machine has no default route'`;

const PUT_BACK = `if rm -f /etc/resolv.conf 2>/dev/null; then cp -P "$state/resolv.conf" /etc/resolv.conf; else cat "$state/resolv.conf" >/etc/resolv.conf; fi`;

export const NETWORK_FAULTS: readonly Fault[] = [
  {
    name: 'dns-broken',
    title: 'The resolver that the machine asks for names does not answer',
    outcome: 'healed',
    expects: ['network.dns'],
    heals: ['use-the-networks-resolver', 'use-public-resolvers'],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'dns-broken',
        'if [ -e /etc/resolv.conf ] || [ -L /etc/resolv.conf ]; then cp -P /etc/resolv.conf "$state/resolv.conf"; else : >"$state/resolv.conf"; fi',
        // A link leads to what another program writes over; where it cannot be removed it is mounted, and written in place.
        'rm -f /etc/resolv.conf 2>/dev/null || true',
        // 192.0.2.0/24 is nobody's (RFC 5737).
        `printf 'nameserver 192.0.2.1\\noptions timeout:1 attempts:1\\n' >/etc/resolv.conf`,
        '! have nscd || nscd -i hosts 2>/dev/null || true',
      ),
      takeBack: takingBack('dns-broken', PUT_BACK),
    },
    evidence: looking(
      'dns-broken',
      'if timeout 20 getent hosts cache.nixos.org >/dev/null 2>&1; then die "names resolve"; fi',
      'grep nameserver /etc/resolv.conf',
      'echo "cache.nixos.org does not resolve"',
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
  {
    name: 'network-down',
    title: `The network cable is pulled, and plugged in again after ${SECONDS_DOWN} s`,
    outcome: 'healed',
    expects: ['network.unreachable', 'network.dns'],
    heals: ['wait-for-the-host', 'renew-the-lease', 'bring-the-interface-up'],
    moment: 'first-phase',
    // A machine without a network could not be told to go on.
    afterRelease: true,
    scope: 'system',
    injection: {
      kind: 'network',
      downMs: SECONDS_DOWN * 1000,
      withoutCable: injecting(
        'network-down',
        WAY_OUT,
        `setsid sh -c 'ip link set dev "$1" down; ip -o link show dev "$1" >"$2"; sleep ${SECONDS_DOWN}; ip link set dev "$1" up; networkctl reconfigure "$1" 2>/dev/null || dhclient -1 "$1" 2>/dev/null || true' sh "$link" "$state/seen" </dev/null >/dev/null 2>&1 &`,
      ),
    },
    evidence: looking(
      'network-down',
      'if [ -s "$state/seen" ]; then cat "$state/seen"; exit 0; fi',
      'down=',
      'for link in /sys/class/net/*; do',
      '  [ -e "$link/device" ] || continue',
      '  if [ "$(cat "$link/carrier" 2>/dev/null || echo 0)" = 0 ]; then down=1; echo "${link##*/} has no carrier"; fi',
      'done',
      '[ -n "$down" ] || die "every interface has a carrier"',
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
  {
    name: 'slow-network',
    title: 'Every packet that leaves the machine takes 300 ms longer, and no more than 2 Mbit/s do',
    outcome: 'passed',
    expects: [],
    heals: [],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'slow-network',
        'have tc || die "this guest has no tc"',
        WAY_OUT,
        'modprobe -q sch_netem 2>/dev/null || true',
        'tc qdisc replace dev "$link" root netem delay 300ms rate 2mbit || die "this guest’s kernel has no netem"',
        'echo "$link" >"$state/link"',
      ),
      takeBack: takingBack('slow-network', 'tc qdisc del dev "$(cat "$state/link")" root 2>/dev/null || true'),
    },
    evidence: looking('slow-network', 'tc qdisc show dev "$(cat "$state/link")" | grep netem'),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
];
