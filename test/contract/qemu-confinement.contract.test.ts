import { access, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { layoutOf } from '../../src/host/paths.js';
import { isAlive, waitUntil } from '../../src/host/process.js';
import { killMachine, launch, socketsFolder, type QemuProcess } from '../../src/machines/qemu/launch.js';
import { readState, writeState } from '../../src/machines/qemu/migration.js';
import type { Qmp } from '../../src/machines/qemu/qmp.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { argumentsIn, QEMU } from './bare-qemu.js';
import { hasOrSkip } from './requirements.js';

const { signal } = new AbortController();
let folder: string;
let qemu: QemuProcess & { readonly qmp: Qmp };

describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))('a confined QEMU', () => {
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'nixproof-confined-'));
    process.env['NIXPROOF_TEST_SECRET'] = 'of the worker';
    qemu = await launch(QEMU, argumentsIn(folder), { folder, id: 'vm-confined', network: 'internet', signal });
  });
  afterEach(async () => {
    delete process.env['NIXPROOF_TEST_SECRET'];
    await qemu.qmp[Symbol.asyncDispose]();
    await killMachine(folder);
    await rm(folder, { recursive: true, force: true });
  });

  test('starts no programs, whoever has its monitor', async () => {
    const proof = path.join(folder, 'ran');
    await qemu.qmp.execute('migrate', { uri: `exec:touch ${proof}` }).catch(() => undefined);
    const failed = async () => {
      if (!(await isAlive(qemu.identity))) return true;
      const { status } = (await qemu.qmp.execute('query-migrate')) as { status?: string };
      return status !== 'setup' && status !== 'active';
    };
    expect(await waitUntil(failed, 20_000)).toBe(true);
    await expect(access(proof)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(`/proc/${qemu.identity.pid}/status`, 'utf8').catch(() => 'killed')).toMatch(
      /^Seccomp:\s+2$|^killed$/m,
    );
  });

  test('has nothing of the worker’s environment but what it needs', async () => {
    const environment = await readFile(`/proc/${qemu.identity.pid}/environ`, 'utf8');
    const names = environment.split('\0').flatMap((text) => text.split('=')[0] || []);
    const loaders = ['LD_LIBRARY_PATH', 'NIX_LD', 'NIX_LD_LIBRARY_PATH'];
    const wanted = ['HOME', 'LANG', 'NIXPROOF_MACHINE', 'NIXPROOF_MACHINE_FOLDER', 'PATH', 'TMPDIR', ...loaders];
    expect(names.filter((name) => !wanted.includes(name))).toEqual([]);
    expect(names).toContain('NIXPROOF_MACHINE_FOLDER');
  });

  test('gives its state to a file, and takes it from there', async () => {
    const state = path.join(folder, 'state');
    await qemu.qmp.execute('stop');
    await writeState(qemu.qmp, { file: state, sockets: socketsFolder(folder) }, signal);
    expect((await stat(state)).size).toBeGreaterThan(0);
    const other = await mkdtemp(path.join(tmpdir(), 'nixproof-confined-'));
    onTestFinished(async () => {
      await killMachine(other);
      await rm(other, { recursive: true, force: true });
    });
    const incoming = [...argumentsIn(other), '-incoming', 'defer'];
    const options = { folder: other, id: 'vm-other', network: 'internet', paused: true, signal } as const;
    const { qmp } = await launch(QEMU, incoming, options);
    await readState(qmp, { file: state, sockets: socketsFolder(other) }, signal);
    await qmp.execute('cont');
    expect(await qmp.execute('query-status')).toMatchObject({ running: true });
    await qmp[Symbol.asyncDispose]();
  });

  test('has sockets for its owner alone, and go with the machine', async () => {
    const sockets = socketsFolder(folder);
    expect((await stat(sockets)).mode & 0o777).toBe(0o700);
    await killMachine(folder);
    await expect(access(sockets)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
