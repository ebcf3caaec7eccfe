import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { placeFiles } from '../../../../src/activities/install/place-files.js';
import type { StepContext } from '../../../../src/activities/step/context.js';
import type { InstalledFile } from '../../../../src/domain/profile.js';
import { localMachine } from '../local-machine.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const whole = Buffer.from([0x00, 0xff, 0x0a]);
/** Whose paths lie below the folder, as in a sandbox. */
function sceneOf(
  files: readonly InstalledFile[],
  more: { readonly sharesSystem?: true } = { sharesSystem: true },
): StepContext {
  return {
    machine: { ...localMachine(), resolvePath: (to: string) => path.join(folder, to), ...more },
    request: { profile: { files, install: { reboot: true } } },
    secrets: { values: new Map([['s', { whole, value: whole.subarray(0, 2) }]]) },
    work: { signal: new AbortController().signal, progress: () => undefined },
  } as unknown as StepContext;
}

test('files are put with their modes, whole, and put again', async () => {
  await writeFile(path.join(folder, 'source'), 'a file');
  const context = sceneOf([
    { content: { secret: 's' }, to: '/var/lib/a key', mode: '0400' },
    { content: { from: path.join(folder, 'source') }, to: '/etc/x', mode: '0644' },
  ]);
  await placeFiles(context);
  await placeFiles(context);
  expect(await readFile(path.join(folder, 'var/lib/a key'))).toEqual(whole);
  expect((await stat(path.join(folder, 'var/lib/a key'))).mode & 0o777).toBe(0o400);
  expect((await stat(path.join(folder, 'var/lib'))).mode & 0o077).toBe(0);
  expect(await readFile(path.join(folder, 'etc/x'), 'utf8')).toBe('a file');
  expect((await stat(path.join(folder, 'etc/x'))).mode & 0o777).toBe(0o644);
});

test('a file that is not there, and a system that is not mounted, are named', async () => {
  const missing = sceneOf([{ content: { from: '/nonexistent/file' }, to: '/x', mode: '0400' }]);
  await expect(placeFiles(missing)).rejects.toMatchObject({ code: 'CONFIG_FILES' });
  const unmounted = sceneOf([{ content: { secret: 's' }, to: '/x', mode: '0400' }], {});
  await expect(placeFiles(unmounted)).rejects.toMatchObject({ code: 'CONFIG_FILES_TARGET' });
});
