import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { confinement, isConfinable } from '../../../../src/machines/hypervisor/confinement.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-confinement-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A stand-in for QEMU. */
async function program(body: string): Promise<string> {
  const file = path.join(folder, 'qemu');
  await writeFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

test('a QEMU that refuses the filter gets none', async () => {
  const qemu = await program('for argument; do [ "$argument" != -sandbox ] || exit 1; done');
  expect(await confinement(qemu)).toEqual([]);
});

test('one that cannot be started has refused nothing', async () => {
  await expect(confinement(await program('echo no memory >&2; exit 1'))).rejects.toMatchObject({
    code: 'HOST_COMMAND_FAILED',
    message: expect.stringContaining('no memory') as string,
  });
});

test('one that is killed at its trial has refused nothing: it is not started without, and asked again', async () => {
  const qemu = await program(`[ -e ${folder}/tried ] && exit 0; touch ${folder}/tried; kill -9 $$`);
  await expect(confinement(qemu)).rejects.toMatchObject({ code: 'HOST_COMMAND_FAILED' });
  expect(await isConfinable(qemu)).toBe(true);
});
