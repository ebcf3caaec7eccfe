import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Accelerator } from '../../../../src/domain/profile.js';
import { findAccelerator, prove, type QemuHost, refute } from '../../../../src/machines/hypervisor/accelerator.js';
import { describeAccelerator } from '../../../../src/machines/hypervisor/installation.js';

const { signal } = new AbortController();
const PROOF = { base: 'debian', kernel: '6.1.0-41-cloud-amd64', at: '2026-11-30T12:00:00.000Z' };
const VIRTUAL = 'processor : 0\nflags\t\t: fpu vme vmx ssse3\n';
/** As on a nested paravirtual host (kvm_pvm). */
const PARAVIRTUAL = 'processor : 0\nflags\t\t: fpu vme ssse3\nvmx flags : none\n';

/** A QEMU whose firmware comes to its end, dies, or hangs; it counts how often it was started. */
const TRIALS = {
  runs: 'log=$(printf "%s\\n" "$@" | sed -n "s/.*path=//p"); echo "No bootable device" >"$log"; exec sleep 60',
  dies: 'exit 1',
  hangs: 'exec sleep 60',
} as const;

let folder: string;
let host: QemuHost;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-accelerator-'));
  const at = (name: string) => path.join(folder, name);
  host = {
    binary: at('qemu'),
    kvm: at('kvm'),
    cpuinfo: at('cpuinfo'),
    cache: at('cache'),
    env: {},
    silenceMs: 1000,
    trialMs: 300,
  };
  await writeFile(host.kvm, '');
  await writeFile(host.cpuinfo, VIRTUAL);
  await qemu('runs');
});
afterEach(async () => {
  if (process.getuid?.() === 0) process.seteuid?.(0);
  await rm(folder, { recursive: true, force: true });
});

async function qemu(how: keyof typeof TRIALS): Promise<void> {
  await writeFile(host.binary, `#!/bin/sh\necho started >>"${folder}/starts"\n${TRIALS[how]}\n`);
  await chmod(host.binary, 0o755);
}
/** Root may use any device: then another user looks, until the test has ended. */
async function becomeNobody(): Promise<void> {
  if (process.getuid?.() !== 0) return;
  await chmod(folder, 0o777);
  process.seteuid?.(65_534);
}
const starts = async () => (await readFile(path.join(folder, 'starts'), 'utf8').catch(() => '')).split('\n').length - 1;
const find = (named?: Accelerator, version = '10.0.13') => findAccelerator(host, version, named, signal);

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the accelerator of a host', () => {
  test('is kvm, presumed, where nothing speaks against it, and the firmware is tried once', async () => {
    host = { ...host, trialMs: 30_000 };
    const presumed = {
      accelerator: 'kvm',
      acceleratorReason: undefined,
      remedy: undefined,
      proof: undefined,
      chosen: false,
    };
    expect(await find()).toEqual(presumed);
    expect(await find()).toEqual(presumed);
    expect(await starts()).toBe(1);
  });

  test('is tcg at once where the processor has no flag for it, with the reason', async () => {
    await writeFile(host.cpuinfo, PARAVIRTUAL);
    const found = await find();
    expect(describeAccelerator(found)).toBe(
      `tcg (${host.kvm} opens, but this processor has no vmx or svm flag: Linux guests hang on such hosts; NIXPROOF_ACCELERATOR=kvm tries it)`,
    );
    expect(await starts()).toBe(0);
  });

  test('is tcg where there is no device', async () => {
    await rm(host.kvm);
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: `there is no ${host.kvm}` });
  });

  test('is tcg where this user may not use the device', async () => {
    await chmod(host.kvm, 0o000);
    await becomeNobody();
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: `this user may not use ${host.kvm}` });
  });

  test.each([
    ['dies', 'kvm opens, but kills its guest'],
    ['hangs', 'kvm opens, but its guest does not run'],
  ] as const)('is tcg where firmware %s, and that is remembered', async (how, reason) => {
    if (how === 'dies') host = { ...host, trialMs: 30_000 };
    await qemu(how);
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: reason });
    await qemu('runs');
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: reason });
    expect(await starts()).toBe(1);
  });

  test('is what a guest has shown: refuted, until one ran; of this QEMU only', async () => {
    host = { ...host, trialMs: 30_000 };
    await find();
    await refute(host, '10.0.13', 'its guests hang');
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: 'its guests hang' });
    await prove(host, '10.0.13', 'tcg', PROOF);
    expect(await find()).toMatchObject({ accelerator: 'tcg', acceleratorReason: 'its guests hang', proof: PROOF });
    expect(await find(undefined, '11.0.0')).toMatchObject({ accelerator: 'kvm', proof: undefined });
    await prove(host, '10.0.13', 'kvm', PROOF);
    expect(await find()).toMatchObject({
      accelerator: 'kvm',
      acceleratorReason: undefined,
      proof: PROOF,
      chosen: false,
    });
  });

  test('is kvm where a guest ran, whatever the flags say', async () => {
    await writeFile(host.cpuinfo, PARAVIRTUAL);
    await prove(host, '10.0.13', 'kvm', PROOF);
    expect(await find()).toMatchObject({ accelerator: 'kvm', proof: PROOF });
  });

  test.each([
    { env: 'tcg', named: undefined, accelerator: 'tcg', reason: 'chosen by NIXPROOF_ACCELERATOR' },
    { env: 'kvm', named: 'tcg', accelerator: 'kvm', reason: 'chosen by NIXPROOF_ACCELERATOR' },
    { env: undefined, named: 'kvm', accelerator: 'kvm', reason: 'chosen by machine.accelerator' },
    { env: '', named: 'tcg', accelerator: 'tcg', reason: 'chosen by machine.accelerator' },
  ] as const)('environment $env, profile $named: $accelerator', async ({ env, named, accelerator, reason }) => {
    await writeFile(host.cpuinfo, PARAVIRTUAL);
    await refute(host, '10.0.13', 'its guests hang');
    host = { ...host, env: { NIXPROOF_ACCELERATOR: env } };
    expect(await find(named)).toMatchObject({ accelerator, acceleratorReason: reason, chosen: true });
  });

  test('environment auto wins over the profile', async () => {
    await writeFile(host.cpuinfo, PARAVIRTUAL);
    host = { ...host, env: { NIXPROOF_ACCELERATOR: 'auto' } };
    expect(await find('kvm')).toMatchObject({ accelerator: 'tcg', chosen: false });
  });

  test('that is named and not there is refused, and so is no name of one', async () => {
    await rm(host.kvm);
    await expect(find('kvm')).rejects.toMatchObject({
      code: 'HOST_ACCELERATOR_MISSING',
      message: `kvm was asked for: there is no ${host.kvm}`,
      hint: expect.stringContaining('NIXPROOF_ACCELERATOR=auto') as string,
    });
    await expect(find('hvf')).rejects.toMatchObject({ code: 'HOST_ACCELERATOR_MISSING' });
    host = { ...host, env: { NIXPROOF_ACCELERATOR: 'xen' } };
    await expect(find()).rejects.toMatchObject({
      code: 'CONFIG_ENVIRONMENT',
      message: 'NIXPROOF_ACCELERATOR: expected auto, kvm, hvf or tcg, got "xen"',
    });
  });
});
