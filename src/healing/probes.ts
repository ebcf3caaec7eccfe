import type { ProbeResults } from '../domain/heal.js';
import { quote } from '../machines/quote.js';

/** A read-only command that is run on a failed machine; its standard output is what the heals look at. */
export interface Probe {
  /** The key of its output in `ProbeResults`. */
  readonly name: string;
  readonly argv: readonly string[];
}

/** The most that one probe prints, bytes. */
const MAX_BYTES = 32 * 1024;
/** How long one command of a probe may take, seconds; file systems that hang are part of the trade. */
const LIMIT_SECONDS = 10;

/** Where installers get things from: whether any name resolves at all. */
export const WELL_KNOWN_NAMES = ['cache.nixos.org', 'github.com', 'deb.debian.org'] as const;

/** The effective settings, as `key = value`: `show-config` until Nix 2.19, `config show` from then on. */
const NIX_SETTINGS = `nix=$(command -v nix) || exit 0
nix() { $limit "$nix" --extra-experimental-features nix-command "$@"; }
nix show-config || nix config show`;

/** Name → shell text. `$limit` stands before what may hang; what is missing prints nothing. */
const BODIES: Readonly<Record<string, { readonly machine: string; readonly sandbox?: string }>> = {
  /** `root=` is empty in a machine, the scratch root in a sandbox. */
  machine: { machine: 'echo "root="; uname -srm', sandbox: 'echo "root=$NIXPROOF_ROOT"; uname -srm' },
  disks: {
    machine: `columns=NAME,PATH,PKNAME,SIZE,TYPE,RO,FSTYPE
$limit lsblk -P -b -o $columns,MOUNTPOINTS || $limit lsblk -P -b -o $columns,MOUNTPOINT`,
    // Its disks are image files.
    sandbox: `for disk in "$NIXPROOF_ROOT"/dev/vd?; do
  [ -f "$disk" ] || continue
  echo "NAME=\\"\${disk##*/}\\" PATH=\\"$disk\\" PKNAME=\\"\\" SIZE=\\"$(stat -c %s "$disk")\\" TYPE=\\"disk\\" RO=\\"0\\" FSTYPE=\\"\\" MOUNTPOINTS=\\"\\""
done`,
  },
  links: { machine: '$limit ip -o link show' },
  addresses: { machine: '$limit ip -o addr show scope global' },
  routes: { machine: '$limit ip route show table main; $limit ip -6 route show table main' },
  resolver: { machine: 'cat /etc/resolv.conf', sandbox: 'cat "$NIXPROOF_ROOT/etc/resolv.conf"' },
  /** Of systemd-networkd, NetworkManager, dhclient and dhcpcd, each in its own words. */
  leases: {
    machine: `cat /run/systemd/netif/leases/* /run/NetworkManager/devices/* /var/lib/NetworkManager/*.lease \\
  /var/lib/dhcp/*.leases /var/lib/dhclient/*.leases /run/dhcpcd/hook-state/resolv.conf/*`,
  },
  names: {
    machine: WELL_KNOWN_NAMES.map((name) => `$limit getent hosts ${name} >/dev/null && echo ${name}`).join('\n'),
  },
  memory: { machine: 'cat /proc/meminfo', sandbox: 'cat /proc/meminfo' },
  swaps: { machine: 'cat /proc/swaps' },
  space: { machine: '$limit df -P -k', sandbox: '$limit df -P -k "$NIXPROOF_ROOT"' },
  inodes: { machine: '$limit df -P -i', sandbox: '$limit df -P -i "$NIXPROOF_ROOT"' },
  mounts: { machine: 'cat /proc/mounts' },
  kernel: { machine: '$limit dmesg | tail -n 200' },
  /** Seconds since the epoch. */
  clock: { machine: 'date +%s', sandbox: 'date +%s' },
  nix: { machine: NIX_SETTINGS, sandbox: NIX_SETTINGS },
  modules: { machine: 'cut -d " " -f 1 /proc/modules' },
  'file-systems': { machine: 'cat /proc/filesystems' },
  arrays: { machine: 'cat /proc/mdstat' },
  volumes: { machine: '$limit pvs --noheadings --nosuffix -o pv_name,vg_name' },
  /** `vdb1 dm-0`: what stands on what. */
  holders: {
    machine: `for holder in /sys/class/block/*/holders/*; do
  [ -e "$holder" ] || continue
  device=\${holder%/holders/*}
  echo "\${device##*/} \${holder##*/}"
done`,
  },
  'efi-variables': {
    machine: `[ -d /sys/firmware/efi ] || exit 0
echo uefi
grep -q ' /sys/firmware/efi/efivars efivarfs ' /proc/mounts && echo mounted
$limit ls /sys/firmware/efi/efivars | grep '^dump-'`,
  },
};

/** Every probe; each reads only, ends by itself and prints a bounded amount. In a sandbox the host is left out of it. */
export const PROBES: readonly Probe[] = Object.entries(BODIES).map(([name, { machine, sandbox }]) => ({
  name,
  argv: ['sh', '-c', scriptOf(machine, sandbox ?? ':')],
}));

function scriptOf(machine: string, sandbox: string): string {
  return `PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/run/current-system/sw/bin
if command -v timeout >/dev/null; then limit='timeout ${LIMIT_SECONDS}'; else limit=; fi
if [ -n "\${NIXPROOF_ROOT:-}" ]; then
${sandbox}
else
${machine}
fi 2>/dev/null </dev/null | head -c ${MAX_BYTES}`;
}

/**
 * Every probe in one command: a connection's round trip each would take longer than the probes themselves. One that hangs costs
 * its limit, so that all of them together end within three minutes; most often it is one or two seconds.
 */
export const ALL_PROBES: readonly string[] = [
  'sh',
  '-c',
  // Each output stands behind its length, so that no text in it passes for another probe's.
  [
    'LC_ALL=C; export LC_ALL',
    `tell() { text=$(sh -c "$2" | tr -cd '\\11\\12\\40-\\176'); printf '%s %s\\n%s\\n' "$1" "\${#text}" "$text"; }`,
    ...PROBES.map(({ name, argv }) => `tell ${name} ${quote(argv.slice(2))}`),
  ].join('\n'),
];

/** What `ALL_PROBES` printed, by probe. What is cut off or not of its form is left out. */
export function readProbes(output: string): ProbeResults {
  const results: Record<string, string> = {};
  for (let at = 0; ;) {
    const end = output.indexOf('\n', at);
    const [, name = '', length = ''] = /^([a-z-]+) (\d{1,6})$/.exec(output.slice(at, Math.max(at, end))) ?? [];
    if (name === '' || end + 1 + Number(length) > output.length) return results;
    results[name] = output.slice(end + 1, end + 1 + Number(length));
    at = end + Number(length) + 2;
  }
}
