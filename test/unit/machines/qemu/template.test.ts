import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { hasTemplate, type TemplateRequest } from '../../../../src/machines/qemu/template.js';

test('looking for a template leaves nothing on the host', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-template-'));
  const request: TemplateRequest = {
    base: { name: 'debian', fingerprint: 'f', boot: { kind: 'firmware' } },
    shape: { memoryMiB: 512, cpus: 1, diskBytes: [2 ** 30], firmware: 'bios' },
    installation: {
      host: { binary: 'qemu', accelerators: ['tcg'] },
      version: '7.2',
      uefi: undefined,
      confined: true,
      accelerator: 'tcg',
    },
    login: { keyFile: 'k', publicKey: 'ssh-ed25519 A' },
    folder,
  } as unknown as TemplateRequest;
  // Where the machine's own folder is `/`, as in a template's identity.
  const left = () => lstat('/sockets').catch(() => undefined);
  const before = await left();
  try {
    expect(await hasTemplate(request)).toBe(false);
    expect(await readdir(folder)).toEqual([]);
    expect(await left()).toEqual(before);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
