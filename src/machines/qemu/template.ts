import { createHash } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { BaseBoot, BaseImage } from '../../bases/base.js';
import { NixproofError } from '../../domain/error.js';
import type { MachineShape } from '../../domain/profile.js';
import { makeFolder, readJson, writeJson } from '../../host/files.js';
import { withLock } from '../../host/lock.js';
import { isAlive, waitUntil } from '../../host/process.js';
import { BOOT_DEADLINE_MS, neverBooted } from '../boot.js';
import { createBlank, createOverlay } from '../hypervisor/images.js';
import type { KeyPair } from '../keys.js';
import type { Connection, Work } from '../machine.js';
import { requireDisk, requireMemory } from '../../host/capacity.js';
import { type Hardware, qemuArguments, type Wiring } from './command-line.js';
import { hangs, startGuest, waitForGuest } from '../hypervisor/first-guest.js';
import { describeAccelerator, findInstallation, type Installation } from '../hypervisor/installation.js';
import { killMachine, launch, nameSockets, socketsFolder, type QemuProcess } from './launch.js';
import { hasConsole, openConsoles } from './live-consoles.js';
import { shareMemory, writeState } from './migration.js';
import type { Qmp } from './qmp.js';
import { machineFiles, type MachineFiles } from './record.js';
import { keyboardLogin } from './console-login.js';

/** A booted base, frozen with its memory: what machines are cloned from. */
export interface Template {
  readonly files: TemplateFiles;
  /** The definition every clone shares with it; the disks are the template's own. */
  readonly hardware: Hardware;
  /** How many of its disks are the live system's: they come before the target disks. */
  readonly liveDisks: 0 | 1;
  readonly uefiCode: string | undefined;
  /** Presented by every clone. */
  readonly hostKey: string;
  /** Whether a root shell answers on its console. */
  readonly console: boolean;
}

export interface TemplateFiles extends MachineFiles {
  /** The guest's memory, in a file of its size, sparse. */
  readonly memory: string;
  /** Everything else of the machine: registers and devices. */
  readonly state: string;
}

interface TemplateRecord {
  readonly hostKey: string;
  /** Absent in older records: it was not asked for. */
  readonly console?: boolean;
  readonly createdAt: string;
}

/** What a template is of. */
export interface TemplateRequest {
  readonly base: BaseImage;
  readonly shape: MachineShape;
  readonly installation: Installation;
  readonly login: KeyPair;
  /** Where templates of this base are kept. */
  readonly folder: string;
}

/** Room for a target disk's header; clones make it as large as they need. */
const BLANK_BYTES = 1024 * 1024;
const READY_MS = 5 * 60_000;
/** Of a template's own guest: its clones have what their profiles say. */
const TEMPLATE_NETWORK = 'internet';
const MIB = 1024 * 1024;

/** What systemd says of a base that has started. One that is not ours may have services that fail here. */
const READY: Readonly<Record<BaseBoot['kind'], readonly string[]>> = {
  direct: ['running'],
  firmware: ['running', 'degraded'],
};

/**
 * The template of a base for one shape: found, or made by booting the base and freezing it. Memory, processors, firmware, the
 * number of disks, QEMU and the home's SSH key are its identity; the sizes of disks are not.
 */
export async function templateFor(request: TemplateRequest, work: Work): Promise<Template> {
  const uefiCode = firmwareCode(request);
  const folder = path.join(request.folder, identityOf(request));
  const found = await readTemplate(folder, request, uefiCode);
  if (found) return found;
  await makeFolder(request.folder);
  const onWait = () => work.progress('another process makes this template: waiting for it');
  await withLock(`${folder}.lock`, { signal: work.signal, onWait }, async () => {
    if (await readTemplate(folder, request, uefiCode)) return;
    await requireSameAccelerator(request, work);
    await makeTemplate(folder, request, uefiCode, work);
  });
  // A cleanup may have removed it since.
  return (await readTemplate(folder, request, uefiCode)) ?? templateFor(request, work);
}

/** The process that had the lock may have found out that this accelerator runs no guests. */
async function requireSameAccelerator({ installation, shape }: TemplateRequest, { signal }: Work): Promise<void> {
  const now = await findInstallation(signal, shape.accelerator, installation.host);
  if (now.accelerator !== installation.accelerator) throw hangs(installation, now.acceleratorReason ?? 'no reason');
}

/** Whether the template a request needs is there already. */
export async function hasTemplate(request: TemplateRequest): Promise<boolean> {
  const folder = path.join(request.folder, identityOf(request));
  return (await readJson<TemplateRecord>(recordFile(folder))) !== undefined;
}

function firmwareCode({ shape, installation }: TemplateRequest): string | undefined {
  if (shape.firmware === 'bios') return undefined;
  if (installation.uefi) return installation.uefi.code;
  throw new NixproofError('HOST_FIRMWARE_MISSING', 'the profile wants UEFI, and no OVMF firmware was found', {
    hint: 'install it: `apt-get install ovmf`, `dnf install edk2-ovmf`; or set `machine.firmware: bios`',
  });
}

/** The command line itself decides, so that nothing the guest could see can change unnoticed. */
function identityOf(request: TemplateRequest): string {
  const definition = qemuArguments(
    hardwareOf(request, templateFiles('/')),
    wiringOf('', templateFiles('/'), firmwareCode(request), '/'),
  );
  const parts = [definition, request.base.fingerprint, request.installation.version];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

function templateFiles(folder: string): TemplateFiles {
  return { ...machineFiles(folder), memory: path.join(folder, 'memory'), state: path.join(folder, 'state') };
}

function recordFile(folder: string): string {
  return path.join(folder, 'template.json');
}

function hardwareOf({ base, shape, installation, login }: TemplateRequest, files: MachineFiles): Hardware {
  return {
    accelerator: installation.accelerator,
    cpus: shape.cpus,
    memoryMiB: shape.memoryMiB,
    firmware: shape.firmware,
    disks: [...(base.disk ? [files.system] : []), ...shape.diskBytes.map((_, index) => files.target(index))],
    ...(base.iso === undefined ? {} : { cdrom: base.iso }),
    publicKey: login.publicKey,
    ...(base.boot.kind === 'direct' ? { direct: base.boot } : {}),
  };
}

function wiringOf(name: string, files: TemplateFiles, uefiCode: string | undefined, sockets: string): Wiring {
  return {
    name,
    memory: { kind: 'frozen', file: files.memory, access: 'write' },
    ...(uefiCode === undefined ? {} : { uefi: { code: uefiCode, variables: files.variables } }),
    sockets,
    incoming: false,
  };
}

async function readTemplate(
  folder: string,
  request: TemplateRequest,
  uefiCode: string | undefined,
): Promise<Template | undefined> {
  const record = await readJson<TemplateRecord>(recordFile(folder));
  if (!record) return undefined;
  const files = templateFiles(folder);
  const liveDisks = request.base.disk ? 1 : 0;
  const { hostKey, console = true } = record;
  return { files, hardware: hardwareOf(request, files), liveDisks, uefiCode, hostKey, console };
}

async function makeTemplate(
  folder: string,
  request: TemplateRequest,
  uefiCode: string | undefined,
  work: Work,
): Promise<void> {
  const { base, shape, installation } = request;
  const making = path.join(path.dirname(folder), `.${path.basename(folder)}`);
  await killMachine(making);
  await rm(making, { recursive: true, force: true });
  await requireMemory(shape.memoryMiB);
  await requireDisk(request.folder, shape.memoryMiB * MIB, `a template with ${shape.memoryMiB} MiB of memory`);
  await mkdir(making, { mode: 0o700 });
  try {
    const files = templateFiles(making);
    if (base.disk) await createOverlay(files.system, base.disk.path, base.disk.format, work.signal);
    if (installation.uefi && uefiCode !== undefined) {
      await createOverlay(files.variables, installation.uefi.variables, 'raw', work.signal);
    }
    for (const index of shape.diskBytes.keys()) await createBlank(files.target(index), BLANK_BYTES, work.signal);
    work.progress(
      `booting ${base.name} once for ${describe(shape)}, ${describeAccelerator(installation)}: later machines are clones of it`,
    );
    const found = await bootAndFreeze(request, files, uefiCode, work);
    const record: TemplateRecord = { ...found, createdAt: new Date().toISOString() };
    await writeJson(recordFile(making), record);
    // Its sockets are found by a link that is renamed too.
    await killMachine(making);
    await rename(making, folder);
  } finally {
    await killMachine(making);
    await rm(making, { recursive: true, force: true });
  }
}

function describe({ memoryMiB, cpus, diskBytes, firmware }: MachineShape): string {
  return `${memoryMiB} MiB, ${cpus} cpus, ${diskBytes.length} disks, ${firmware}`;
}

async function bootAndFreeze(
  request: TemplateRequest,
  files: TemplateFiles,
  uefiCode: string | undefined,
  work: Work,
): Promise<Pick<Template, 'hostKey' | 'console'>> {
  const id = `template-${request.base.name}`;
  const wiring = wiringOf(`nixproof-${id}`, files, uefiCode, nameSockets(files.folder));
  const args = qemuArguments(hardwareOf(request, files), wiring);
  const { installation } = request;
  const guest = await startGuest(installation, () =>
    launch(installation.host.binary, args, {
      folder: files.folder,
      id,
      network: TEMPLATE_NETWORK,
      signal: work.signal,
    }),
  );
  await using qmp = guest.qmp;
  const found = await waitUntilReady(request, files, guest, work);
  work.progress('freezing it');
  await freeze(qmp, files, work.signal);
  await qmp.execute('quit').catch(() => undefined);
  await waitUntil(async () => !(await isAlive(guest.identity)), 10_000);
  return found;
}

/** Waits for SSH and for systemd to have started everything; gives what was found out meanwhile. */
async function waitUntilReady(
  request: TemplateRequest,
  files: TemplateFiles,
  guest: QemuProcess & { readonly qmp: Qmp },
  work: Work,
): Promise<Pick<Template, 'hostKey' | 'console'>> {
  let hostKey = '';
  const { base, installation } = request;
  await using connection = await waitForGuest(
    {
      endpoint: {
        host: '127.0.0.1',
        port: guest.sshPort,
        user: 'root',
        keyFile: request.login.keyFile,
        hostKey: undefined,
      },
      isAlive: () => isAlive(guest.identity),
      consoleLog: files.console,
      deadlineMs: BOOT_DEADLINE_MS[installation.accelerator],
      fromPowerOn: true,
      what: `the base ${base.name}`,
      onHostKey: async (presented) => {
        hostKey = presented;
      },
      ...(base.boot.kind === 'firmware'
        ? { onWait: keyboardLogin(guest.qmp, request.login.publicKey, installation.accelerator, work) }
        : {}),
    },
    // A live system from CD need not print anything on the serial console.
    { installation, base: base.name, sign: base.boot.kind === 'direct' ? 'kernel' : 'none' },
    work,
  );
  await settle(connection, base, files, work);
  // Ours has one.
  const console = base.boot.kind === 'direct' || (await hasConsole(files.folder, work));
  return { hostKey, console };
}

async function settle(connection: Connection, { boot }: BaseImage, files: TemplateFiles, work: Work): Promise<void> {
  const { signal } = work;
  const wait = await connection.exec(['systemctl', 'is-system-running', '--wait'], { signal, timeoutMs: READY_MS });
  const state = wait.stdout.trim();
  if (!READY[boot.kind].includes(state))
    throw await neverBooted('the base', files.console, new Error(`systemd says it is ${state}`));
  if (boot.kind === 'firmware') await openConsoles(connection, work);
  // What is in the page cache now, every clone finds there; what is not on the disk yet, every clone would have to write.
  await connection.exec(
    ['sh', '-c', 'nix --version; sgdisk --version; mkfs.btrfs --version; lsblk; tar --version; sync'],
    { signal },
  );
}

async function freeze(qmp: Qmp, files: TemplateFiles, signal: AbortSignal): Promise<void> {
  await shareMemory(qmp);
  await qmp.execute('stop');
  await writeState(qmp, { file: files.state, sockets: socketsFolder(files.folder) }, signal);
}
