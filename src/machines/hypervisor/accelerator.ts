import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { NixproofError } from '../../domain/error.js';
import type { Accelerator } from '../../domain/profile.js';
import { acceleratorInEnvironment } from '../../host/environment.js';
import { readIfThere, readJson, writeJson } from '../../host/files.js';
import { cacheDirectory } from '../../host/paths.js';
import { waitUntil } from '../../host/process.js';
import { leastEnvironment } from '../../host/least-environment.js';

/** Where this host's QEMU and what decides about its accelerator are looked for. */
export interface QemuHost {
  /** QEMU's binary: a path, or a name on PATH. */
  readonly binary: string;
  readonly kvm: string;
  readonly cpuinfo: string;
  /** Folder in which findings are kept. */
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  /** Timeout of a guest's first sign of life. */
  readonly silenceMs: number;
  /** Timeout of the firmware's trial. */
  readonly trialMs: number;
}

export function thisHost(): QemuHost {
  return {
    binary: 'qemu-system-x86_64',
    kvm: '/dev/kvm',
    cpuinfo: '/proc/cpuinfo',
    cache: cacheDirectory(),
    env: process.env,
    // A kernel prints within seconds, and firmware on a working accelerator runs in a third of a
    // second: the rest is for loaded hosts.
    silenceMs: 60_000,
    trialMs: 10_000,
  };
}

/**
 * A guest that ran under an accelerator since this host booted. Nothing less proves one: firmware
 * runs where Linux hangs.
 */
export interface AcceleratorProof {
  /** The base that booted, or whose clone answered. */
  readonly base: string;
  /** The release of its kernel: `6.1.0-41-cloud-amd64`. */
  readonly kernel: string;
  /** ISO 8601. */
  readonly at: string;
}

export interface AcceleratorFinding {
  readonly accelerator: Accelerator;
  /** Why it is this one, where it is not simply the fastest. */
  readonly acceleratorReason: string | undefined;
  /** What would give this host a faster one, where that is simply absent. */
  readonly remedy: string | undefined;
  /** Undefined: presumed. */
  readonly proof: AcceleratorProof | undefined;
  /** Whether the user named it: then it is never replaced. */
  readonly chosen: boolean;
}

/** What is remembered until the host boots again, another QEMU comes or another user asks. */
interface Memory {
  readonly key: string;
  /** What was found out about the fastest accelerator, where its guests do not run. */
  readonly refuted?: string | undefined;
  /** The cheap trial found nothing against it. */
  readonly tried?: boolean;
  readonly proofs: Readonly<Partial<Record<Accelerator, AcceleratorProof>>>;
}

/** SeaBIOS says so on its debug port once it has run through and found nothing to boot. */
const FIRMWARE_RAN = 'No bootable device';

/**
 * Finds the accelerator for a guest: the one that the environment or the profile names, else the
 * fastest against which nothing speaks. Only a Linux guest that has run proves one (`prove`); one
 * that hangs refutes it (`refute`).
 * @throws NixproofError `HOST_ACCELERATOR_MISSING` where the named one is not there;
 * `CONFIG_ENVIRONMENT`
 */
export async function findAccelerator(
  host: QemuHost,
  version: string,
  named: Accelerator | undefined,
  signal: AbortSignal,
): Promise<AcceleratorFinding> {
  const memory = await remembered(host, version);
  const finding = (accelerator: Accelerator, acceleratorReason?: string): AcceleratorFinding => {
    const proof = memory.proofs[accelerator];
    return { accelerator, acceleratorReason, remedy: undefined, proof, chosen: false };
  };
  const chosen = choice(host.env, named);
  if (chosen) {
    await requireAccelerator(host, chosen.accelerator);
    return { ...finding(chosen.accelerator, `chosen by ${chosen.by}`), chosen: true };
  }
  const fastest = process.platform === 'linux' ? 'kvm' : 'hvf';
  const absent = await absence(host, fastest);
  if (absent !== undefined) return { ...finding('tcg', absent.reason), remedy: absent.hint };
  if (memory.proofs[fastest]) return finding(fastest);
  const problem = memory.refuted ?? (await flagsProblem(host, fastest));
  if (problem !== undefined) return finding('tcg', problem);
  if (memory.tried) return finding(fastest);
  const refuted = await trialProblem(host, fastest, signal);
  await remember(host, version, refuted === undefined ? { tried: true } : { refuted });
  return refuted === undefined ? finding(fastest) : finding('tcg', refuted);
}

/** Remembers that a guest ran under an accelerator. */
export async function prove(
  host: QemuHost,
  version: string,
  accelerator: Accelerator,
  proof: AcceleratorProof,
): Promise<void> {
  const { proofs } = await remembered(host, version);
  await remember(host, version, { proofs: { ...proofs, [accelerator]: proof } });
}

/**
 * Remembers that the fastest accelerator runs no guests here, and why: they are emulated from now
 * on.
 */
export async function refute(host: QemuHost, version: string, reason: string): Promise<void> {
  await remember(host, version, { refuted: reason });
}

/** Forgets what was found out against the fastest accelerator: it had another cause. */
export async function acquit(host: QemuHost, version: string): Promise<void> {
  await remember(host, version, { refuted: undefined });
}

function choice(
  env: NodeJS.ProcessEnv,
  named: Accelerator | undefined,
): { readonly accelerator: Accelerator; readonly by: string } | undefined {
  const fromEnvironment = acceleratorInEnvironment(env);
  if (fromEnvironment === 'auto') return undefined;
  if (fromEnvironment !== undefined) return { accelerator: fromEnvironment, by: 'NIXPROOF_ACCELERATOR' };
  return named === undefined ? undefined : { accelerator: named, by: 'machine.accelerator' };
}

async function requireAccelerator(host: QemuHost, accelerator: Accelerator): Promise<void> {
  const absent = accelerator === 'tcg' ? undefined : await absence(host, accelerator);
  if (absent === undefined) return;
  throw new NixproofError('HOST_ACCELERATOR_MISSING', `${accelerator} was asked for: ${absent.reason}`, {
    hint: `${absent.hint}, or leave the choice to nixproof: NIXPROOF_ACCELERATOR=auto`,
    details: { accelerator },
  });
}

interface Absence {
  readonly reason: string;
  readonly hint: string;
}

/** Why this host has not got an accelerator; undefined where it may have. */
async function absence(host: QemuHost, accelerator: 'kvm' | 'hvf'): Promise<Absence | undefined> {
  const platform = accelerator === 'kvm' ? 'linux' : 'darwin';
  if (process.platform !== platform || arch() !== 'x64')
    return {
      reason: `${accelerator} runs no x86-64 guests on ${process.platform} ${arch()}`,
      hint: `use an x86-64 host with ${accelerator}`,
    };
  return accelerator === 'kvm' ? kvmAbsence(host.kvm) : undefined;
}

async function kvmAbsence(device: string): Promise<Absence | undefined> {
  try {
    await (await open(device, 'r+')).close();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? { reason: `there is no ${device}`, hint: 'turn virtualisation on, on a virtual host nested virtualisation' }
      : { reason: `this user may not use ${device}`, hint: 'run `sudo usermod -aG kvm $USER` and log in again' };
  }
}

/**
 * What speaks against an accelerator before any guest has run. Nested paravirtual hosts (module
 * kvm_pvm) give a /dev/kvm to processors without the flags; firmware runs there and 64-bit Linux
 * hangs.
 */
async function flagsProblem({ kvm, cpuinfo }: QemuHost, accelerator: Accelerator): Promise<string | undefined> {
  const text = accelerator === 'kvm' ? await readIfThere(cpuinfo) : undefined;
  if (text === undefined || /^flags\s*:.*\b(vmx|svm)\b/m.test(text)) return undefined;
  return `${kvm} opens, but this processor has no vmx or svm flag: Linux guests hang on such hosts; NIXPROOF_ACCELERATOR=kvm tries it`;
}

/**
 * Runs an empty guest until its firmware has come to its end. Gives what went wrong; undefined
 * proves nothing.
 */
async function trialProblem(
  { binary, trialMs }: QemuHost,
  accelerator: Accelerator,
  signal: AbortSignal,
): Promise<string | undefined> {
  const folder = await mkdtemp(path.join(tmpdir(), 'np-trial-'));
  const log = path.join(folder, 'firmware.log');
  try {
    signal.throwIfAborted();
    const guest = execa(
      binary,
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35', '-m', '64'],
        ...['-accel', accelerator, '-cpu', 'host'],
        ...['-chardev', `file,id=debug,path=${log}`, '-device', 'isa-debugcon,iobase=0x402,chardev=debug'],
      ],
      { reject: false, stdin: 'ignore', env: leastEnvironment({}), extendEnv: false },
    );
    const ended = { yet: false };
    void guest.then(() => (ended.yet = true));
    const ran = async () => (await readFile(log, 'utf8').catch(() => '')).includes(FIRMWARE_RAN);
    let worked, died;
    try {
      await waitUntil(async () => ended.yet || (await ran()), trialMs, { signal });
      worked = await ran();
      died = ended.yet;
    } finally {
      // One that could not be started has no process: Node would signal another one.
      if (guest.pid !== undefined) guest.kill('SIGKILL');
      await guest;
    }
    if (worked) return undefined;
    return died ? `${accelerator} opens, but kills its guest` : `${accelerator} opens, but its guest does not run`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function remembered(host: QemuHost, version: string): Promise<Memory> {
  const key = await memoryKey();
  const memory = await readJson<Memory>(memoryFile(host, version)).catch(() => undefined);
  return memory?.key === key ? memory : { key, proofs: {} };
}

async function remember(host: QemuHost, version: string, more: Partial<Omit<Memory, 'key'>>): Promise<void> {
  await writeJson(memoryFile(host, version), { ...(await remembered(host, version)), ...more });
}

function memoryFile({ cache }: QemuHost, version: string): string {
  return path.join(cache, `accelerator-${version}.json`);
}

async function memoryKey(): Promise<string> {
  const boot = (await readIfThere('/proc/sys/kernel/random/boot_id'))?.trim() ?? 'this-boot';
  return [boot, process.getuid?.() ?? ''].join(' ');
}
