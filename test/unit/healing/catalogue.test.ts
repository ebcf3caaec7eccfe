import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FAILURE_CLASSES, type FailureClass } from '../../../src/domain/diagnosis.js';
import type { Evidence, HealPlan, TreeEdit } from '../../../src/domain/heal.js';
import { diskAdvice, diskCandidates } from '../../../src/healing/catalogue/disk.js';
import { CATALOGUE, healsFor } from '../../../src/healing/catalogue/index.js';
import { rankHeals } from '../../../src/healing/ranking.js';
import { evidenceOf, lsblk, SANDBOX } from './evidence.js';
import { HOSTILE, SITUATIONS } from './situations.js';

/** Nothing on the machine can help where the configuration, a secret or what somebody typed is wrong. */
const UNHEALABLE: readonly FailureClass[] = ['kexec', 'ssh.auth', 'auth.secrets', 'service.failed'];

/** Those that are safe on a machine that shares its host's system. */
const OF_FILES = [
  'use-the-found-disk',
  'make-the-mount-point',
  'use-the-networks-resolver',
  'use-public-resolvers',
  'wait-for-the-host',
  'wait-as-told',
  'run-again',
  'drop-the-substituter',
  'build-without-cache',
  'fall-back-to-building',
  'download-with-more-patience',
  'fewer-build-jobs',
  'enable-flakes',
  'build-without-sandbox',
  'build-as-root',
  'clear-nix-caches',
  'trust-the-tree',
  'remove-temporary-files',
  'rotate-logs',
  'release-stale-locks',
  'run-again-after-a-kill',
  'bring-the-machine-back',
];

const named = CATALOGUE.map((heal) => [heal.name, heal] as const);

function planOf(name: string, evidence = SITUATIONS[name]?.plans): HealPlan {
  const plan = evidence && CATALOGUE.find((heal) => heal.name === name)?.plan(evidence);
  if (plan === undefined) throw new Error(`${name} has no plan`);
  return plan;
}

function parses(script: string): void {
  const { status, stderr } = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' });
  expect({ script, status, stderr }).toEqual({ script, status: 0, stderr: '' });
}

describe('the catalogue', () => {
  test('has unique names in kebab-case, and titles that are one sentence', () => {
    expect(new Set(CATALOGUE.map(({ name }) => name)).size).toBe(CATALOGUE.length);
    expect(CATALOGUE.filter(({ name }) => !/^[a-z]+(?:-[a-z]+)+$/.test(name))).toEqual([]);
    expect(CATALOGUE.filter(({ title }) => !/^[A-Z].*[^.]$/.test(title) || title.includes('\n'))).toEqual([]);
    expect(CATALOGUE.filter(({ confidence }) => confidence <= 0 || confidence >= 1)).toEqual([]);
  });

  test('has a heal for every class that can be healed', () => {
    expect(FAILURE_CLASSES.filter((name) => healsFor(name).length === 0)).toEqual(UNHEALABLE);
  });

  test('has situations for each of its heals, and for no other', () => {
    expect(Object.keys(SITUATIONS).sort()).toEqual(CATALOGUE.map(({ name }) => name).sort());
  });

  test.each(named)('%s has a plan where it can help, and none where not', (name, heal) => {
    const { plans, abstains } = SITUATIONS[name] ?? {};
    expect(heal.for).toContain(plans?.diagnosis.class);
    expect(heal.for).toContain(abstains?.diagnosis.class);
    expect(plans && heal.plan(plans)).toBeDefined();
    expect(abstains && heal.plan(abstains)).toBeUndefined();
  });

  test.each(named)('%s has commands that a POSIX shell can read, and a plan that is plain data', (name) => {
    const plan = planOf(name);
    for (const script of [...plan.commands, ...plan.undo]) parses(script);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(JSON.stringify(plan).length).toBeLessThan(8000);
  });

  test('acts on files below the machine’s root only with these heals', () => {
    expect(CATALOGUE.filter(({ scope }) => scope === 'files').map(({ name }) => name)).toEqual(OF_FILES);
  });

  test.each(named)('%s is offered on a machine that shares its host’s system only if it is one of them', (name) => {
    const plans = SITUATIONS[name]?.plans as Evidence;
    const offered = (sharesSystem: boolean) => {
      const evidence = { ...plans, machine: { ...plans.machine, sharesSystem } };
      const ranked = rankHeals({ evidences: [evidence], counts: () => ({ worked: 0, notWorked: 0 }) });
      return ranked.some((heal) => heal.name === name);
    };
    expect({ own: offered(false), shared: offered(true) }).toEqual({ own: true, shared: OF_FILES.includes(name) });
  });

  test.each(named)(
    '%s: its commands refuse a machine that shares its host’s system unless they act on files',
    (name) => {
      const { commands, undo } = planOf(name);
      const all = [...commands, ...undo];
      const refusing = all.filter((command) => command.includes('not in a sandbox'));
      expect(refusing).toEqual(OF_FILES.includes(name) ? [] : all);
    },
  );
});

describe('hostile text', () => {
  test.each(HOSTILE.map((evidence) => [evidence.diagnosis.rule, evidence] as const))(
    'around %s runs nothing',
    (_rule, evidence) => {
      for (const heal of healsFor(evidence.diagnosis.class)) {
        const plan = heal.plan(evidence);
        for (const script of [...(plan?.commands ?? []), ...(plan?.undo ?? [])]) {
          parses(script);
          expect(script).not.toContain('/tmp/harm');
        }
        expect(JSON.stringify(plan?.edits ?? [])).not.toContain('harm');
      }
      expect(existsSync('/tmp/harm')).toBe(false);
    },
  );

  test.each(['/dev/../etc/passwd', '/dev/sda;reboot', '-rf', '/etc/shadow', '/dev/'])('%s is no device', (device) => {
    const evidence = evidenceOf({ log: `Error: Could not stat device ${device} - No such file or directory.` });
    const meant = { ...evidence, diagnosis: { ...evidence.diagnosis, captures: { device } } };
    expect(
      CATALOGUE.filter(({ name }) => name.includes('disk') && name !== 'wipe-the-target').map((heal) =>
        heal.plan(meant),
      ),
    ).toEqual([undefined, undefined]);
  });
});

describe('disk detection', () => {
  const blank = (...names: readonly string[]) => ({
    disks: lsblk(['vda', '', 'disk', '/', 'ext4'], ...names.map((name) => [name, '', 'disk'] as const)),
  });
  const missing = (device: string) => `Error: Could not stat device ${device} - No such file or directory.`;
  const edits = (device: string, ...found: readonly string[]): readonly TreeEdit[] =>
    planOf(
      'use-the-found-disk',
      evidenceOf({ log: missing(device), probes: blank(...found), disks: found.map((name) => `/dev/${name}`) }),
    ).edits;
  const replace = (find: string, put: string) => ({ kind: 'replace', find, put });

  test('replaces the disk that was named by the one that is there', () => {
    expect(edits('/dev/sda', 'vdb')).toEqual([replace('/dev/sda', '/dev/vdb')]);
    expect(edits('/dev/sda2', 'vdb')).toEqual([replace('/dev/sda', '/dev/vdb')]);
  });

  test('and its partitions, which are called otherwise', () => {
    expect(edits('/dev/nvme0n1p2', 'vdb')).toEqual([
      replace('/dev/nvme0n1p', '/dev/vdb'),
      replace('/dev/nvme0n1', '/dev/vdb'),
    ]);
    expect(edits('/dev/sda', 'nvme0n1')).toEqual([
      ...['1', '2', '3', '4', '5', '6', '7', '8', '9'].map((n) => replace(`/dev/sda${n}`, `/dev/nvme0n1p${n}`)),
      replace('/dev/sda', '/dev/nvme0n1'),
    ]);
    expect(edits('/dev/disk/by-id/ata-X', 'vdb')).toEqual([
      replace('/dev/disk/by-id/ata-X-part', '/dev/vdb'),
      replace('/dev/disk/by-id/ata-X', '/dev/vdb'),
    ]);
  });

  test('takes the first target disk that is free, in the machine’s own order', () => {
    expect(edits('/dev/sda', 'vdc', 'vdb')).toEqual([replace('/dev/sda', '/dev/vdc')]);
    const used = { disks: lsblk(['vdb', '', 'disk'], ['vdb1', 'vdb', 'part', '/srv'], ['vdc', '', 'disk']) };
    expect(diskCandidates(evidenceOf({ log: missing('/dev/sda'), probes: used }))).toEqual([
      { path: '/dev/vdc', sizeBytes: 3 * 1024 ** 3 },
    ]);
  });

  test('in a sandbox names the disk as an installer does', () => {
    const root = '/home/me/machines/x/root';
    const probes = {
      ...SANDBOX,
      disks: `NAME="vdb" PATH="${root}/dev/vdb" PKNAME="" SIZE="1073741824" TYPE="disk" RO="0" FSTYPE="" MOUNTPOINTS=""`,
    };
    const evidence = evidenceOf({ log: missing(`${root}/dev/sda`), probes, disks: [`${root}/dev/vdb`] });
    expect(planOf('use-the-found-disk', evidence).edits).toEqual([replace('/dev/sda', '/dev/vdb')]);
  });

  test.each(['/dev/disk/by-label/nixos', '/dev/mapper/root', '/dev/md0', '/dev/loop7', '/dev/vdb'])(
    'leaves %s alone: it names no disk that is missing',
    (device) => {
      const evidence = evidenceOf({ log: missing(device), probes: blank('vdb') });
      expect(CATALOGUE.find(({ name }) => name === 'use-the-found-disk')?.plan(evidence)).toBeUndefined();
    },
  );

  test('by hand, names the candidates', () => {
    const evidence = evidenceOf({ log: missing('/dev/sda'), probes: blank('vdb', 'vdc') });
    expect(diskAdvice(evidence)).toBe(
      '/dev/sda is not there; name one of these in the configuration: /dev/vdb (3.0 GiB), /dev/vdc (3.0 GiB)',
    );
    expect(diskAdvice(evidenceOf({ log: missing('/dev/sda'), probes: blank(), disks: [] }))).toBe(
      '/dev/sda is not there, and no target disk is free',
    );
  });
});

describe('what is read out of the evidence', () => {
  test('that nothing of a healthy machine is full, small file systems neither', () => {
    const evidence = evidenceOf({ log: 'cp: error writing x: No space left on device' });
    expect(healsFor('disk.full').filter((heal) => heal.plan(evidence) !== undefined)).toEqual([]);
  });

  test('that inodes are used up', () => {
    const inodes = 'Filesystem Inodes IUsed IFree IUse% Mounted on\ntmpfs 1000 1000 0 100% /run';
    const evidence = evidenceOf({ log: 'cp: error writing x: No space left on device', probes: { inodes } });
    expect(planOf('grow-the-tmpfs', evidence).commands[0]).toContain(',nr_inodes=4194304 /run');
  });

  test('the device that was waited for', () => {
    const evidence = evidenceOf({ log: 'Timed out waiting for device /dev/disk/by-label/boot.' });
    expect(planOf('wait-for-the-device', evidence).commands[0]).toContain('[ ! -b /dev/disk/by-label/boot ]');
  });

  test('how long to wait', () => {
    const waits = (line: string) => planOf('wait-as-told', evidenceOf({ log: `HTTP error 429: ${line}` })).commands;
    expect(waits('Retry-After: 30')).toEqual(['sleep 31']);
    expect(waits('try again in 10 minutes')).toEqual(['sleep 300', 'sleep 300', 'sleep 1']);
    expect(waits('too many requests')).toEqual(['sleep 61']);
  });

  test('the caches that are left', () => {
    const [command = ''] = planOf('drop-the-substituter').commands;
    expect(command).toContain('\nsubstituters = https://cache.nixos.org/\n');
    expect(command).not.toContain('cache.example.org');
  });

  test('the resolvers of this network', () => {
    const [command = ''] = planOf('use-the-networks-resolver').commands;
    expect(command).toContain('for resolver in 10.0.2.3 10.0.2.2; do');
    expect(command).toContain('for name in mirror.example.org cache.nixos.org');
  });

  test('gateways that a network is likely to have', () => {
    const [command = ''] = planOf('add-the-default-route').commands;
    expect(command).toMatch(/printf '%s\\n' '10\.0\.2\.2 \w+' '10\.0\.2\.1 \w+' '10\.0\.2\.254 \w+' \|/);
  });
});
