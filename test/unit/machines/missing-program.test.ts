import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { deployTree } from '../../../src/activities/deploy/deploy.js';
import type { Profile } from '../../../src/domain/profile.js';
import type { Work } from '../../../src/domain/work.js';
import { layoutOf } from '../../../src/host/paths.js';
import { startInstaller } from '../../../src/installers/installer.js';
import { requirePrograms } from '../../../src/machines/missing-program.js';
import { createSandboxDriver } from '../../../src/machines/sandbox/driver.js';

test.each([
  ['dash', 'sh: 1: tar: not found\n', 'tar'],
  ['bash', 'bash: line 1: tar: command not found\n', 'tar'],
  ['bash, of a path', 'bash: line 1: /usr/bin/tar: No such file or directory\n', '/usr/bin/tar'],
  ['busybox', 'sh: sha256sum: not found\n', 'sha256sum'],
  ['zsh', 'zsh:1: command not found: tar\n', 'tar'],
  ['setsid of util-linux', 'setsid: failed to execute sh: No such file or directory\n', 'sh'],
  ['the SSH server of a sandbox', 'spawn /bin/sh ENOENT\n', '/bin/sh'],
])('the program that %s does not find is named', (_, stderr, tool) => {
  expect(() => requirePrograms({ exitCode: 127, stderr })).toThrow(
    expect.objectContaining({
      code: 'MACHINE_TOOL_MISSING',
      message: `${tool} is not installed in the machine`,
      details: { tool },
    }) as Error,
  );
});

test.each([
  [0, ''],
  [2, 'tar: x: not found\n'],
  [127, 'the installer has its own 127\n'],
])('nothing is missing where a command ends with %s and %j', (exitCode, stderr) => {
  expect(() => requirePrograms({ exitCode, stderr })).not.toThrow();
});

test('the shell of this host speaks as one of them', () => {
  const { status, stderr } = spawnSync('/bin/sh', ['-c', 'no-such-tool'], { encoding: 'utf8' });
  expect(() => requirePrograms({ exitCode: status ?? 0, stderr })).toThrow('no-such-tool is not installed');
});

/**
 * A sandbox on a host that has only these programs beside /bin/sh, which a sandbox's own server
 * starts.
 */
async function sandboxWith(programs: readonly string[]) {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-programs-'));
  const bin = path.join(home, 'bin');
  await mkdir(bin);
  for (const program of programs) await symlink(`/bin/${program}`, path.join(bin, program));
  vi.stubEnv('PATH', bin);
  const driver = createSandboxDriver({ layout: layoutOf(home) });
  const machine = await driver.create({ id: 'vm-1', base: undefined, shape: SHAPE }, work);
  // Its server takes the environment when it starts.
  await machine.connect(work);
  vi.unstubAllEnvs();
  onTestFinished(async () => {
    await machine[Symbol.asyncDispose]();
    await driver.destroy('vm-1', work);
    await rm(home, { recursive: true, force: true });
  });
  const empty = path.join(home, 'empty');
  await mkdir(empty);
  return { machine, empty };
}

const SHAPE = { memoryMiB: 64, cpus: 1, diskBytes: [], firmware: 'uefi' } as const;
const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const missing = (tool: string) => ({
  code: 'MACHINE_TOOL_MISSING',
  message: `${tool} is not installed in the machine`,
});

test('a host without tar is told so when a tree is deployed', async () => {
  const { machine, empty } = await sandboxWith(['sh', 'rm', 'mkdir', 'mv', 'cat']);
  const deployed = deployTree(machine, { from: empty, to: '/root/config', exclude: [] }, empty, work);
  await expect(deployed).rejects.toMatchObject(missing('tar'));
});

test('a host without sh on PATH is told so when a tree is deployed, and when an installer is started', async () => {
  const { machine, empty } = await sandboxWith(['tar']);
  const deployed = deployTree(machine, { from: empty, to: '/root/config', exclude: [] }, empty, work);
  await expect(deployed).rejects.toMatchObject(missing('sh'));
  const install = { kind: 'script', run: 'true', env: {}, timeoutMs: 1000, stallMs: 1000, reboot: false };
  const profile = { name: 'vm', machine: SHAPE, deploy: { to: '/root' }, install } as unknown as Profile;
  const start = { attempt: 1, barrier: false, target: machine };
  await expect(startInstaller(machine, await machine.connect(work), profile, start)).rejects.toMatchObject(
    missing('sh'),
  );
});
