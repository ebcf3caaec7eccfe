import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NixproofError } from '../../../../src/domain/error.js';
import { findAccelerator, prove, type QemuHost } from '../../../../src/machines/hypervisor/accelerator.js';
import { hangs, startGuest, withAccelerator } from '../../../../src/machines/hypervisor/first-guest.js';
import type { Installation } from '../../../../src/machines/hypervisor/installation.js';

const VERSION = '10.0.13';
const { signal } = new AbortController();
const PROOF = { base: 'debian', kernel: '6.1.0-41-cloud-amd64', at: '2026-11-30T12:00:00.000Z' };
const DID_NOT_START = new NixproofError('MACHINE_QEMU_FAILED', 'QEMU did not start: no memory');

let folder: string;
let host: QemuHost;
let said: string[];
beforeEach(async () => {
  said = [];
  folder = await mkdtemp(path.join(tmpdir(), 'np-first-guest-'));
  const at = (name: string) => path.join(folder, name);
  host = {
    binary: at('qemu'),
    kvm: at('kvm'),
    cpuinfo: at('cpuinfo'),
    cache: at('cache'),
    env: {},
    silenceMs: 1000,
    trialMs: 30_000,
  };
  await writeFile(host.kvm, '');
  await writeFile(host.cpuinfo, 'flags : vmx\n');
  const firmware = `log=$(printf "%s\\n" "$@" | sed -n "s/.*path=//p"); echo "No bootable device" >"$log"; exec sleep 60`;
  await writeFile(host.binary, `#!/bin/sh\n${firmware}\n`, { mode: 0o755 });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function find(): Promise<Installation> {
  const found = await findAccelerator(host, VERSION, undefined, signal);
  return { ...found, host, version: VERSION, uefi: undefined, confined: true };
}

/** Runs a body, and gives the accelerators that it ran on. */
async function runs(body: (installation: Installation) => Promise<void>): Promise<readonly string[]> {
  const accelerators: string[] = [];
  await withAccelerator(
    find,
    (installation) => installation,
    { signal, progress: (message) => void said.push(message) },
    (installation) => {
      accelerators.push(installation.accelerator);
      return body(installation);
    },
  );
  return accelerators;
}

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('a guest on an accelerator', () => {
  test('that does not start on it is emulated, and that is remembered', async () => {
    const body = (installation: Installation) =>
      startGuest(installation, () =>
        installation.accelerator === 'tcg' ? Promise.resolve() : Promise.reject(DID_NOT_START),
      );
    expect(await runs(body)).toEqual(['kvm', 'tcg']);
    const reason = 'kvm is there, but QEMU does not run on it: QEMU did not start: no memory';
    expect(said).toEqual([`${reason}. Emulating instead`]);
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: reason });
  });

  test('that does not start emulated either shows nothing of the accelerator', async () => {
    const body = (installation: Installation) => startGuest(installation, () => Promise.reject(DID_NOT_START));
    await expect(runs(body)).rejects.toBe(DID_NOT_START);
    expect(await find()).toMatchObject({ accelerator: 'kvm', acceleratorReason: undefined });
  });

  test('that hangs shows nothing where another process proved it in the meantime', async () => {
    const accelerators = await runs(async (installation) => {
      if (installation.proof) return;
      await prove(host, VERSION, 'kvm', PROOF);
      throw hangs(installation, 'its guests hang');
    });
    expect(accelerators).toEqual(['kvm', 'kvm']);
    expect(said).toEqual([]);
    expect(await find()).toMatchObject({ accelerator: 'kvm', proof: PROOF });
  });
});
