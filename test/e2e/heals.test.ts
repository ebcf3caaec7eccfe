import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, onTestFinished, test } from 'vitest';
import type { FailureClass } from '../../src/domain/diagnosis.js';
import type { Evidence, HealPlan } from '../../src/domain/heal.js';
import { CATALOGUE } from '../../src/healing/catalogue/index.js';
import { ALL_PROBES, readProbes } from '../../src/healing/probes.js';
import { layoutOf } from '../../src/host/paths.js';
import type { Connection, Machine, Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { hasOrSkip } from '../contract/requirements.js';
import { comparesShown, HEALS } from '../shown.js';
import { diagnosesOf } from '../unit/diagnosis/reading.js';

/** Heals that only a machine can show: a real fault, the plan its own probes lead to, the effect, and back again. */

const GIB = 1024 ** 3;
const BASE = 'debian';
const SHAPE = { memoryMiB: 1024, cpus: 2, diskBytes: [3 * GIB, 1 * GIB], firmware: 'uefi' } as const;
const ID = 'heals';
const work: Work = { signal: new AbortController().signal, progress: () => undefined };

const home = await mkdtemp(path.join(tmpdir(), 'nixproof-heals-'));
const driver = createQemuDriver({ layout: layoutOf(home) });
const possible = await hasOrSkip('qemu', driver);

describe.skipIf(!possible)('on a machine', () => {
  const shows = comparesShown(HEALS, () => 'guest');
  let machine: Machine;
  let connection: Connection;

  beforeAll(async () => {
    await prepareBase(BASE, layoutOf(home), work, SHAPE);
    machine = await driver.create({ id: ID, base: BASE, shape: SHAPE }, work);
    connection = await machine.connect(work);
  });
  afterAll(async () => {
    await connection[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
    await driver.destroy(ID, work);
    await rm(home, { recursive: true });
  });

  /** Shell text with the environment that heals are run in. */
  const run = (script: string) => {
    const now = Math.round(Date.now() / 1000);
    const environment = `export NIXPROOF_NOW=${now} NIXPROOF_DISK=/dev/vdb NIXPROOF_DISKS='/dev/vdb\n/dev/vdc' NIXPROOF_HEAL=1`;
    return connection.exec(['sh', '-c', `${environment}\n${script}`], { timeoutMs: 180_000 });
  };
  const expectStatus = async (script: string, well: boolean) => {
    const { exitCode, stdout, stderr } = await run(script);
    if ((exitCode === 0) !== well) throw new Error(`exit status ${exitCode}: ${stderr}${stdout}\n${script}`);
  };
  const passes = (script: string) => expectStatus(script, true);
  const fails = (script: string) => expectStatus(script, false);

  /** The probes of the machine as it is now. */
  const evidenceAfter = async (log: string, as?: FailureClass): Promise<Evidence> => {
    const { stdout } = await connection.exec(ALL_PROBES, { timeoutMs: 180_000 });
    const diagnosis = diagnosesOf(log).find((one) => as === undefined || one.class === as);
    if (diagnosis === undefined) throw new Error(`nothing is diagnosed of ${log}`);
    return {
      diagnosis,
      phase: '',
      probes: readProbes(stdout),
      machine: { disks: machine.disks, memoryMiB: SHAPE.memoryMiB, firmware: SHAPE.firmware, sharesSystem: false },
      install: { kind: 'script' },
      tree: '/root/config',
    };
  };

  const planOf = async (name: string, log: string, as?: FailureClass): Promise<HealPlan> => {
    const plan = CATALOGUE.find((heal) => heal.name === name)?.plan(await evidenceAfter(log, as));
    if (plan === undefined) throw new Error(`${name} has no plan after ${log}`);
    return plan;
  };

  interface Trial {
    readonly heal: string;
    readonly log: string;
    readonly as?: FailureClass;
    readonly fault: string;
    /** Fails before and after the heal, passes with it; after undoing only where `undone` says so. */
    readonly proof: string;
    readonly undone?: boolean;
    readonly after?: string;
  }

  const BUSY = 'mke2fs: /dev/vdb1 is apparently in use by the system; will not make a filesystem here!';
  const FULL = 'cp: error writing x: No space left on device';
  const ROUTED = 'ip route replace default via 10.0.2.2 dev $(ls /sys/class/net | grep enp)';
  const LEASED = 'ip -o -4 addr show dev nixproof0 | grep -q 198.51.100';
  const KILLED = '[ 1.000000] Out of memory: Killed process 42 (cc1plus)';
  const NO_WAY = 'curl: (7) Failed to connect to 10.0.2.2 port 8080: Network is unreachable';
  const PARTITIONS =
    'sgdisk --zap-all -n1:0:+1G -n2:0:+256M /dev/vdb >/dev/null && udevadm settle && mkfs.ext4 -qF /dev/vdb1 && mkswap /dev/vdb2 >/dev/null';
  const CLEAN =
    'umount /mnt 2>/dev/null; swapoff -a; dmsetup remove_all 2>/dev/null; wipefs -aq /dev/vdb1 /dev/vdb2 /dev/vdb; blockdev --rereadpt /dev/vdb; udevadm settle; true';
  const DUMP = '/sys/firmware/efi/efivars/dump-type0-1-1-1700000000-C-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0';
  const NO_NAME = 'curl: (6) Could not resolve host: mirror.nixproof.example';
  const NAMED = 'getent hosts mirror.nixproof.example';
  /**
   * A name server, as a unit that is ready when it answers, for a name that no other resolver
   * knows.
   */
  const resolver = (unit: string, address: string) => `cat >/tmp/resolver.py <<'END'
import socket, sys
from systemd.daemon import notify
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
notify('READY=1')
while True:
    query, client = server.recvfrom(512)
    question = query[12:query.index(0, 12) + 5]
    answer = b'\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x7f\\x00\\x00\\x01' if question[-4:-2] == b'\\x00\\x01' else b''
    server.sendto(query[:2] + b'\\x81\\x80\\x00\\x01' + (b'\\x00\\x01' if answer else b'\\x00\\x00') + b'\\x00\\x00\\x00\\x00' + question + answer, client)
END
${service(unit, `/usr/bin/python3 /tmp/resolver.py ${address}`, 'Type=notify')}`;
  const service = (unit: string, command: string, more = '') => `mkdir -p /run/systemd/system
printf '[Service]\\nExecStart=%s\\n%s\\n' '${command}' '${more}' >/run/systemd/system/${unit}.service
systemctl daemon-reload && systemctl start ${unit}`;
  const noService = (unit: string) =>
    `systemctl stop ${unit}; rm -f /run/systemd/system/${unit}.service; systemctl daemon-reload; systemctl reset-failed ${unit} 2>/dev/null`;
  /** Settings of Nix for tests without a network and without build users. */
  const NIX = `mkdir -p /etc/nix; mv /etc/nix/nix.conf /etc/nix/was 2>/dev/null || true
printf '%s\\n' 'substituters = file:///root/cache' 'build-users-group =' 'experimental-features = nix-command' >/etc/nix/nix.conf`;
  const NIX_AS_BEFORE = 'rm -f /etc/nix/nix.conf; mv /etc/nix/was /etc/nix/nix.conf 2>/dev/null';

  const TRIALS: readonly Trial[] = [
    {
      heal: 'use-the-networks-resolver',
      log: NO_NAME,
      fault: `ip addr add 10.0.2.3/32 dev lo\n${resolver('nixproof-names', '10.0.2.3')}\necho 'nameserver 192.0.2.1\noptions timeout:1 attempts:1' >/etc/resolv.conf`,
      proof: NAMED,
      after: `${noService('nixproof-names')}; ip addr del 10.0.2.3/32 dev lo; echo nameserver 10.0.2.3 >/etc/resolv.conf`,
    },
    {
      heal: 'restart-the-resolver',
      log: NO_NAME,
      fault: `${resolver('unbound', '127.0.0.1')} && systemctl kill -s KILL unbound && echo 'nameserver 127.0.0.1\noptions timeout:1 attempts:1' >/etc/resolv.conf`,
      proof: NAMED,
      undone: true,
      after: `${noService('unbound')}; echo nameserver 10.0.2.3 >/etc/resolv.conf`,
    },
    {
      heal: 'add-the-default-route',
      log: NO_WAY,
      fault: 'ip route del default',
      proof: 'ip route show default | grep -q "via 10.0.2.2"',
      after: ROUTED,
    },
    {
      heal: 'bring-the-interface-up',
      log: NO_WAY,
      // Its own networkd would bring it up.
      fault: `mkdir -p /run/systemd/network; printf '[Match]\\nName=nixproof*\\n[Link]\\nUnmanaged=yes\\n' >/run/systemd/network/10-nixproof.network; networkctl reload
ip link add nixproof0 type veth peer name nixproof1; ip addr add 198.51.100.1/24 dev nixproof0; ip link set nixproof1 up`,
      proof: 'ip -o link show nixproof0 | grep -q LOWER_UP',
      after: 'ip link del nixproof0; rm /run/systemd/network/10-nixproof.network; networkctl reload',
    },
    {
      heal: 'renew-the-lease',
      log: NO_WAY,
      // Two ends of a cable, each with its own side of DHCP.
      fault: `mkdir -p /run/systemd/network
printf '[Match]\nName=nixproof1\n[Network]\nAddress=198.51.100.1/24\nDHCPServer=yes\n' >/run/systemd/network/10-nixproof1.network
printf '[Match]\nName=nixproof0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n[DHCPv4]\nUseRoutes=no\nUseDNS=no\n' >/run/systemd/network/10-nixproof0.network
networkctl reload; ip link add nixproof0 type veth peer name nixproof1
for turn in $(seq 100); do ! ${LEASED} || break; sleep 0.2; done; ${LEASED} && ip addr flush dev nixproof0`,
      proof: LEASED,
      undone: true,
      after: 'ip link del nixproof0; rm -f /run/systemd/network/10-nixproof?.network; networkctl reload',
    },
    {
      heal: 'restart-the-network',
      log: NO_WAY,
      // What another program takes away it puts back only when it starts.
      fault: 'ip route del default',
      proof:
        'for turn in $(seq 20); do ! ip route show default | grep -q "via 10.0.2.2" || exit 0; sleep 0.2; done; exit 1',
      undone: true,
      after: ROUTED,
    },
    {
      heal: 'set-the-clock',
      log: 'curl: (60) SSL certificate problem: certificate is not yet valid',
      fault: 'date -s @1000000000 >/dev/null',
      proof: 'now=$(date +%s); [ $((now - NIXPROOF_NOW)) -gt -60 ] && [ $((now - NIXPROOF_NOW)) -lt 60 ]',
      after: 'date -s "@$NIXPROOF_NOW"',
    },
    {
      heal: 'unmount-the-target',
      log: BUSY,
      fault: `${PARTITIONS} && mount /dev/vdb1 /mnt && mkdir -p "/mnt/a b" && mount -t tmpfs none "/mnt/a b" && umount "/mnt/a b" && swapon /dev/vdb2`,
      proof:
        '! grep -q ^/dev/vdb /proc/mounts && ! grep -q ^/dev/vdb /proc/swaps && mkfs.ext4 -qFn /dev/vdb1 >/dev/null',
      after: CLEAN,
    },
    {
      heal: 'stop-arrays-and-volumes',
      log: BUSY,
      fault: `${PARTITIONS} && dmsetup create nixproof --table "0 $(blockdev --getsz /dev/vdb1) linear /dev/vdb1 0" && udevadm settle`,
      proof: '[ ! -e /dev/mapper/nixproof ] && mkfs.ext4 -qF /dev/vdb1',
      undone: true,
      after: CLEAN,
    },
    {
      heal: 'wipe-the-target',
      log: BUSY,
      fault: `${PARTITIONS} && mount /dev/vdb1 /mnt`,
      proof: '[ "$(lsblk -nro NAME,FSTYPE /dev/vdb | tr -d " \\n")" = vdb ]',
      undone: true,
      after: CLEAN,
    },
    {
      heal: 'wait-for-the-device',
      log: 'mount: /mnt: special device /dev/vdb1 does not exist.',
      fault: `${PARTITIONS} && udevadm settle && partx -d /dev/vdb && udevadm settle`,
      proof: '[ -b /dev/vdb1 ]',
      undone: true,
      after: CLEAN,
    },
    {
      heal: 'reread-partition-tables',
      log: BUSY,
      fault: `${PARTITIONS} && udevadm settle && partx -d /dev/vdb && udevadm settle`,
      proof: '[ -b /dev/vdb1 ]',
      undone: true,
      after: CLEAN,
    },
    {
      heal: 'alias-the-missing-disk',
      log: 'Error: Could not stat device /dev/sda - No such file or directory.',
      fault: PARTITIONS,
      proof: '[ -b /dev/sda ] && [ -b /dev/sda1 ] && [ "$(readlink -f /dev/sda2)" = /dev/vdb2 ]',
      after: CLEAN,
    },
    {
      heal: 'swap-on-zram',
      log: KILLED,
      fault: 'swapoff -a',
      proof: 'grep -q ^/dev/zram /proc/swaps',
    },
    {
      heal: 'swap-on-the-target',
      log: KILLED,
      fault: `${PARTITIONS} && mount /dev/vdb1 /mnt`,
      proof: 'grep -q ^/mnt/.nixproof-swap /proc/swaps',
      after: CLEAN,
    },
    {
      heal: 'grow-the-tmpfs',
      log: FULL,
      fault:
        'mkdir -p /mnt/small; mount -t tmpfs -o size=16m none /mnt/small; head -c 16M /dev/zero >/mnt/small/fill 2>/dev/null || true',
      proof: 'head -c 8M /dev/zero 2>/dev/null >/mnt/small/more && rm /mnt/small/more',
      after: 'umount /mnt/small; rmdir /mnt/small',
    },
    {
      heal: 'temporary-files-on-the-target',
      log: FULL,
      fault: `sgdisk --zap-all -n1:0:0 /dev/vdb >/dev/null && udevadm settle && mkfs.ext4 -qF /dev/vdb1 && mount /dev/vdb1 /mnt && mount -t tmpfs -o size=4m none /tmp && { head -c 4M /dev/zero >/tmp/fill 2>/dev/null || true; }`,
      proof: 'head -c 32M /dev/zero 2>/dev/null >/tmp/more && rm /tmp/more',
      after: `umount /tmp; ${CLEAN}`,
    },
    {
      heal: 'clean-boot',
      log: FULL,
      fault: `sgdisk --zap-all -n1:0:+64M /dev/vdb >/dev/null && udevadm settle && mkfs.vfat -F 32 /dev/vdb1 >/dev/null && mkdir -p /mnt/boot && mount /dev/vdb1 /mnt/boot
mkdir -p /mnt/boot/loader/entries /mnt/boot/EFI/nixos; echo 'linux /EFI/nixos/used.efi' >/mnt/boot/loader/entries/1.conf; echo used >/mnt/boot/EFI/nixos/used.efi
head -c 100M /dev/zero >/mnt/boot/EFI/nixos/left-over.efi 2>/dev/null || true`,
      proof:
        'grep -q used /mnt/boot/EFI/nixos/used.efi && head -c 32M /dev/zero 2>/dev/null >/mnt/boot/new && rm /mnt/boot/new',
      after: `umount /mnt/boot; rmdir /mnt/boot; ${CLEAN}`,
    },
    {
      heal: 'collect-nix-garbage',
      log: FULL,
      // Eight MiB of it are what Nix reserves for the collection itself.
      fault: `${NIX}
mkdir -p /nix && mount -t tmpfs -o size=64m none /nix && head -c 44M /dev/zero >/root/big && nix-store --add /root/big`,
      proof: 'head -c 32M /dev/zero 2>/dev/null >/nix/more; status=$?; rm /nix/more; exit $status',
      undone: true,
      after: `umount -l /nix; rm -f /root/big; ${NIX_AS_BEFORE}`,
    },
    {
      heal: 'repair-the-store',
      log: "path '/nix/store/x' was modified! expected hash 'a', got 'b'",
      fault: `${NIX}
echo whole >/root/demo && path=$(nix-store --add /root/demo) && nix copy --to file:///root/cache "$path" && echo "$path" >/root/path
chmod u+w "$path" && echo broken >"$path"`,
      proof: 'grep -qx whole "$(cat /root/path)"',
      undone: true,
      after: `rm -rf /root/demo /root/path /root/cache; ${NIX_AS_BEFORE}`,
    },
    {
      heal: 'restart-the-nix-daemon',
      log: "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
      fault: `${NIX}\n${service('nix-daemon', '/usr/bin/nix-daemon')} && systemctl kill -s KILL nix-daemon`,
      proof: 'nix store ping --store daemon',
      undone: true,
      after: `${noService('nix-daemon')}; ${NIX_AS_BEFORE}`,
    },
    {
      heal: 'refresh-package-lists',
      log: 'E: Failed to fetch http://deb.example.org/x.deb  Hash Sum mismatch',
      fault: `mkdir -p /srv/repo /root/sources && mv /etc/apt/sources.list* /root/sources/ 2>/dev/null
printf '%s\n' 'Package: nixproof-demo' 'Version: 1' 'Architecture: all' 'Description: demo' 'Filename: ./demo.deb' 'Size: 1' >/srv/repo/Packages
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list && apt-get -q update >/dev/null && apt-cache show nixproof-demo >/dev/null
for list in /var/lib/apt/lists/*_Packages*; do rm "$list"; echo damaged >"$list"; done`,
      proof: 'apt-cache show nixproof-demo >/dev/null 2>&1',
      undone: true,
      after: 'rm -rf /etc/apt/sources.list /srv/repo /var/lib/apt/lists/*; mv /root/sources/* /etc/apt/',
    },
    {
      heal: 'load-the-file-system',
      log: "mount: /mnt: unknown filesystem type 'btrfs'.",
      fault: 'modprobe -r btrfs',
      proof: 'grep -qw btrfs /proc/filesystems',
      after: 'modprobe btrfs',
    },
    {
      heal: 'load-the-module',
      log: "modprobe: ERROR: could not insert 'dm_crypt': Operation not permitted",
      fault: 'modprobe -rq dm_crypt || true',
      proof: 'grep -q ^dm_crypt /proc/modules',
    },
    {
      heal: 'remove-crash-dumps',
      log: 'Could not prepare Boot variable: No space left on device',
      fault: `printf '\\7\\0\\0\\0crashed' >${DUMP}`,
      proof: `[ ! -e ${DUMP} ] && ls /sys/firmware/efi/efivars/BootOrder-* >/dev/null`,
      after: `chattr -i ${DUMP}; rm -f ${DUMP}`,
    },
    {
      heal: 'mount-efi-variables',
      log: 'EFI variables are not supported on this system.',
      fault: 'umount /sys/firmware/efi/efivars',
      proof: 'efibootmgr >/dev/null',
      after: 'mount -t efivarfs efivarfs /sys/firmware/efi/efivars',
    },
  ];

  test.each(TRIALS.map((trial) => [trial.heal, trial] as const))('%s', { timeout: 120_000 }, async (name, trial) => {
    const { log, as, fault, proof, undone, after = 'true' } = trial;
    onTestFinished(async () => {
      await run(`rm -rf /var/lib/nixproof/heals\n${after}`);
    });
    await passes(fault);
    await fails(proof);
    const plan = await planOf(name, log, as);
    for (const command of plan.commands) await passes(command);
    await passes(proof);
    // Again, as after a worker that died before it could say that it was done; it may find nothing to do.
    for (const command of plan.commands) await run(command);
    await passes(proof);
    for (const command of plan.undo) await passes(command);
    if (undone !== true) await fails(proof);
    shows(name);
  });
});
