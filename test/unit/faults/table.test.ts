import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FAULT_NAMES } from '../../../src/domain/fault.js';
import type { Fault } from '../../../src/faults/fault.js';
import { FAULTS, faultNamed, faultsFor } from '../../../src/faults/index.js';
import { CATALOGUE } from '../../../src/healing/catalogue/index.js';

const run = promisify(execFile);
const each = FAULTS.map((fault) => [fault.name, fault] as const);

const scriptsOf = ({ injection, evidence }: Fault): readonly string[] => [
  ...(injection.kind === 'guest' ? [injection.inject, injection.takeBack] : []),
  ...(injection.kind === 'network' ? [injection.withoutCable] : []),
  ...(evidence === undefined ? [] : [evidence]),
];

describe('the table of faults', () => {
  test('has each name once', () => expect(FAULTS.map(({ name }) => name)).toEqual(FAULT_NAMES));

  test.each(each)('%s is told in one sentence', (_name, { title }) => {
    expect(title).toMatch(/^[A-Z].*[^.]$/);
  });

  test.each(each)('%s: what it comes to fits what is said of it', (_name, { outcome, expects, heals }) => {
    expect({ isFound: expects.length > 0, isHealed: heals.length > 0 }).toEqual({
      isFound: outcome !== 'passed',
      isHealed: outcome === 'healed',
    });
  });

  test.each(each)('%s: its heals are in the catalogue, for a class it is found out as', (_name, { expects, heals }) => {
    for (const name of heals) {
      const heal = CATALOGUE.find((one) => one.name === name);
      expect(heal?.for.some((failureClass) => expects.includes(failureClass))).toBe(true);
    }
  });

  test.each(each)('%s: its scripts are POSIX shell', async (_name, fault) => {
    for (const script of scriptsOf(fault)) await run('sh', ['-n', '-c', script]);
  });

  test.each(each)('%s shows that it happened', (_name, { injection, evidence }) => {
    const byTheBench = ['kill-installer', 'crash-machine', 'kill-worker'].includes(injection.kind);
    expect(evidence === undefined).toBe(byTheBench);
  });

  test('those that act on the system are for no machine that shares its host’s, and refuse one', async () => {
    const ofSystem = FAULTS.filter(({ scope }) => scope === 'system');
    expect(ofSystem.filter(({ drivers }) => drivers.includes('sandbox'))).toEqual([]);
    for (const { injection } of ofSystem) {
      const script =
        injection.kind === 'guest'
          ? injection.inject
          : injection.kind === 'network'
            ? injection.withoutCable
            : undefined;
      if (script === undefined) continue;
      const root = await mkdtemp(path.join(tmpdir(), 'np-fault-'));
      onTestFinished(() => rm(root, { recursive: true }));
      const env = { ...process.env, NIXPROOF_ROOT: root };
      await expect(run('sh', ['-c', script], { env })).rejects.toThrow('it would change the host');
    }
  });

  test('in a sandbox nothing goes wrong that would be the host’s', () => {
    expect(faultsFor('sandbox').map(({ name }) => name)).toEqual(['disk-renamed', 'installer-killed', 'worker-crash']);
  });
});

describe('disk-renamed', () => {
  const { injection, evidence = '' } = faultNamed('disk-renamed');
  const scripts = injection.kind === 'guest' ? injection : { inject: '', takeBack: '' };

  async function sandbox(script: string) {
    const root = await mkdtemp(path.join(tmpdir(), 'np-fault-'));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const tree = path.join(root, 'root/config');
    await mkdir(tree, { recursive: true });
    await writeFile(path.join(tree, 'install.sh'), script);
    const env = {
      ...process.env,
      NIXPROOF_ROOT: root,
      NIXPROOF_TREE: tree,
      NIXPROOF_DISK: `${root}/dev/vdb`,
      NIXPROOF_DISKS: `${root}/dev/vdb`,
    };
    return {
      shell: async (text: string) => (await run('sh', ['-c', text], { env })).stdout,
      text: () => readFile(path.join(tree, 'install.sh'), 'utf8'),
    };
  }

  test('renames the disk and its partitions once, shows it, and takes it back', async () => {
    const { shell, text } = await sandbox('mkfs /dev/vdb1\nmount /dev/vdb1\n');
    await shell(scripts.inject);
    await shell(scripts.inject);
    expect(await text()).toBe('mkfs /dev/sdz1\nmount /dev/sdz1\n');
    expect(await shell(evidence)).toBe(
      'there is no /dev/sdz, and the tree names it:\n./install.sh:1:mkfs /dev/sdz1\n./install.sh:2:mount /dev/sdz1\n',
    );
    await shell(scripts.takeBack);
    await shell(scripts.takeBack);
    expect(await text()).toBe('mkfs /dev/vdb1\nmount /dev/vdb1\n');
  });

  test('says why where the tree names no disk', async () => {
    const { shell } = await sandbox('mkfs "$NIXPROOF_DISK"\n');
    await expect(shell(scripts.inject)).rejects.toThrow('nothing in the deployed tree names /dev/vdb');
  });
});
