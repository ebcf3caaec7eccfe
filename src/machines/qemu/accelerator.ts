import { constants } from 'node:fs';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { readIfThere, readJson, writeJson } from '../../host/files.js';
import { waitUntil } from '../../host/process.js';

/** What executes the guest's instructions. `tcg` is QEMU's own emulation: works everywhere, ten times slower. */
export type Accelerator = 'kvm' | 'hvf' | 'tcg';

export interface AcceleratorFinding {
  readonly accelerator: Accelerator;
  /** Why it is emulation, where it is. */
  readonly acceleratorReason: string | undefined;
}

/** Long enough for a loaded host; a working accelerator needs a third of a second. */
const TRIAL_MS = 10_000;
/** SeaBIOS says so on its debug port once it has run through and found nothing to boot. */
const GUEST_RAN = 'No bootable device';

/**
 * Finds the fastest accelerator by running a guest on it: a `/dev/kvm` that opens may still kill every guest, as on nested
 * paravirtual hosts. The finding is kept in `cache` until the host boots again, another QEMU comes or another user asks.
 */
export async function findAccelerator(
  binary: string,
  version: string,
  cache: string,
  signal: AbortSignal,
): Promise<AcceleratorFinding> {
  const file = path.join(cache, 'accelerator.json');
  const key = await findingKey(version);
  const known = await readJson<AcceleratorFinding & { key: string }>(file).catch(() => undefined);
  if (known?.key === key) return { accelerator: known.accelerator, acceleratorReason: known.acceleratorReason };
  const finding = await tryAccelerators(binary, signal);
  await writeJson(file, { ...finding, key });
  return finding;
}

async function findingKey(version: string): Promise<string> {
  const boot = (await readIfThere('/proc/sys/kernel/random/boot_id'))?.trim() ?? 'this-boot';
  const kvm = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => 'kvm',
    () => 'no-kvm',
  );
  return [boot, version, process.getuid?.() ?? '', kvm].join(' ');
}

async function tryAccelerators(binary: string, signal: AbortSignal): Promise<AcceleratorFinding> {
  const candidate =
    process.platform === 'linux' ? 'kvm' : process.platform === 'darwin' && arch() === 'x64' ? 'hvf' : undefined;
  if (!candidate)
    return {
      accelerator: 'tcg',
      acceleratorReason: `no hardware acceleration for x86-64 on ${process.platform} ${arch()}`,
    };
  const problem =
    (candidate === 'kvm' ? await kvmProblem() : undefined) ?? (await trialProblem(binary, candidate, signal));
  return problem === undefined
    ? { accelerator: candidate, acceleratorReason: undefined }
    : { accelerator: 'tcg', acceleratorReason: problem };
}

async function kvmProblem(): Promise<string | undefined> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return missing ? 'there is no /dev/kvm' : 'no right to use /dev/kvm: add yourself to the group kvm';
  }
}

/** Runs an empty guest until its firmware has come to its end; tells what went wrong, or undefined. */
async function trialProblem(
  binary: string,
  accelerator: Accelerator,
  signal: AbortSignal,
): Promise<string | undefined> {
  const folder = await mkdtemp(path.join(tmpdir(), 'np-trial-'));
  const log = path.join(folder, 'firmware.log');
  try {
    const guest = execa(
      binary,
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35', '-m', '64'],
        ...['-accel', accelerator, '-cpu', 'host'],
        ...['-chardev', `file,id=debug,path=${log}`, '-device', 'isa-debugcon,iobase=0x402,chardev=debug'],
      ],
      { reject: false, stdin: 'ignore', cancelSignal: signal },
    );
    const ended = { yet: false };
    void guest.then(() => (ended.yet = true));
    const ran = async () => (await readFile(log, 'utf8').catch(() => '')).includes(GUEST_RAN);
    await waitUntil(async () => ended.yet || (await ran()), TRIAL_MS, { signal });
    const worked = await ran();
    const died = ended.yet;
    guest.kill('SIGKILL');
    await guest;
    if (worked) return undefined;
    return died ? `${accelerator} opens, but kills its guest` : `${accelerator} opens, but its guest does not run`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
