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
import { diagnosesOf } from '../unit/healing/reading.js';

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
    const environment = `export NIXPROOF_NOW=${now} NIXPROOF_DISK=/dev/vdb NIXPROOF_DISKS='/dev/vdb /dev/vdc' NIXPROOF_HEAL=1`;
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
      machine: { disks: machine.disks, memoryMiB: SHAPE.memoryMiB, firmware: SHAPE.firmware },
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
  const KILLED = '[ 1.000000] Out of memory: Killed process 42 (cc1plus)';
  const NO_WAY = 'curl: (7) Failed to connect to 10.0.2.2 port 8080: Network is unreachable';
  const PARTITIONS =
    'sgdisk --zap-all -n1:0:+1G -n2:0:+256M /dev/vdb >/dev/null && udevadm settle && mkfs.ext4 -qF /dev/vdb1 && mkswap /dev/vdb2 >/dev/null';
  const CLEAN =
    'umount /mnt 2>/dev/null; swapoff -a; dmsetup remove_all 2>/dev/null; wipefs -aq /dev/vdb1 /dev/vdb2 /dev/vdb; blockdev --rereadpt /dev/vdb; udevadm settle; true';
  const DUMP = '/sys/firmware/efi/efivars/dump-type0-1-1-1700000000-C-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0';
  /** A name server on the address that this network's resolver has, for a name that nobody else knows. */
  const RESOLVER = `ip addr add 10.0.2.3/32 dev lo
cat >/tmp/resolver.py <<'END'
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('10.0.2.3', 53))
while True:
    query, client = server.recvfrom(512)
    question = query[12:query.index(0, 12) + 5]
    answer = b'\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x7f\\x00\\x00\\x01' if question[-4:-2] == b'\\x00\\x01' else b''
    server.sendto(query[:2] + b'\\x81\\x80\\x00\\x01' + (b'\\x00\\x01' if answer else b'\\x00\\x00') + b'\\x00\\x00\\x00\\x00' + question + answer, client)
END
setsid python3 /tmp/resolver.py </dev/null >/dev/null 2>&1 &`;

  const TRIALS: readonly Trial[] = [
    {
      heal: 'use-the-networks-resolver',
      log: 'curl: (6) Could not resolve host: mirror.nixproof.example',
      fault: `${RESOLVER}\necho 'nameserver 192.0.2.1\noptions timeout:1 attempts:1' >/etc/resolv.conf`,
      proof: 'getent hosts mirror.nixproof.example',
      after: 'pkill -f [r]esolver.py; ip addr del 10.0.2.3/32 dev lo; echo nameserver 10.0.2.3 >/etc/resolv.conf',
    },
    {
      heal: 'add-the-default-route',
      log: NO_WAY,
      fault: 'ip route del default',
      proof: 'ip route show default | grep -q "via 10.0.2.2"',
      after: 'ip route replace default via 10.0.2.2 dev $(ls /sys/class/net | grep enp)',
    },
    {
      heal: 'bring-the-interface-up',
      log: NO_WAY,
      // Its own networkd would bring it up.
      fault: `mkdir -p /run/systemd/network; printf '[Match]\\nName=nixproof*\\n[Link]\\nUnmanaged=yes\\n' >/run/systemd/network/10-nixproof.network; networkctl reload
ip link add nixproof0 type veth peer name nixproof1; ip addr add 198.51.100.1/24 dev nixproof0; ip link set nixproof1 up`,
      proof: 'ip -o link show nixproof0 | grep -q LOWER_UP',
      after: 'ip link del nixproof0',
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
  });
});
