import { mkdir, open, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { FULL_DISK_HINT, NixproofError } from '../../domain/error.js';
import { passFence } from '../../host/fence.js';
import { folderBytes, makeFolder } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { processesWithEnvironment, signalIfThere, terminate, type ProcessIdentity } from '../../host/process.js';
import { removeTree } from '../../host/tree/remove.js';
import { createSemaphore } from '../../host/semaphore.js';
import { openConnection } from '../connection.js';
import { keepConnection } from '../kept-connection.js';
import { keyPairAt, readKeyPair } from '../keys.js';
import type { Driver, Endpoint, Machine, MachineInfo, MachineRequest, MachineStatus, Work } from '../machine.js';
import { machineFolder, machineIds, readRecord, writeRecord } from '../record.js';
import { startSandboxServer, type SandboxServer } from './serving.js';

/** The sandbox's machine.json. */
interface SandboxRecord extends MachineInfo {
  readonly disks: readonly string[];
  /** Counts up at every reboot: a sandbox's boot identity. */
  readonly boot: number;
  /**
   * `installed` once it was restarted from its disk; its host key is another one then, as a real machine's would be. `off`: it
   * crashed.
   */
  readonly stage: 'live' | 'installed' | 'off';
}

/** What a scratch root has from the beginning; each comes after the one above. */
const FOLDERS = 'config dev etc mnt root run tmp usr usr/local usr/local/bin var var/lib var/log'.split(' ');
/** Both sides of a handshake are on this host: hundreds at once, as when a worker takes over, would all take too long. */
const handshakes = createSemaphore(2 * availableParallelism());
/** Below this a run would fail in mid-air. */
const MIN_FREE_BYTES = 256 * 1024 * 1024;

/**
 * Machines that are scratch folders: an SSH server on this host runs real commands of this host in them, disks are sparse
 * image files. Everything above the machine contract is the same as for a VM. It is no security boundary: what runs in it
 * runs as the user who started the worker.
 */
export function createSandboxDriver({ layout }: { readonly layout: Layout }): Driver {
  const driver: Driver = {
    name: 'sandbox',

    async probe() {
      return { available: true, detail: 'processes of this host in a scratch folder' };
    },

    async create(request, work) {
      const existing = await readRecord<SandboxRecord>(layout, request.id);
      if (!existing || existing.stage === 'off') await makeSandbox(layout, request, work);
      return attachSandbox(layout, request.id, work);
    },

    attach: (id, work) => attachSandbox(layout, id, work),

    async list() {
      const records = await Promise.all((await machineIds(layout)).map((id) => readRecord<SandboxRecord>(layout, id)));
      return Promise.all(
        records
          .filter((record) => record?.driver === 'sandbox')
          .map((record) => statusOf(layout, record as SandboxRecord)),
      );
    },

    async destroy(id) {
      await endProcesses(rootOf(machineFolder(layout, id)));
      await removeTree(machineFolder(layout, id));
    },
  };
  return driver;
}

async function statusOf(layout: Layout, record: SandboxRecord): Promise<MachineStatus> {
  const { id, driver, base, createdAt } = record;
  const processes = await processesOf(rootOf(machineFolder(layout, id)));
  return {
    id,
    driver,
    base,
    createdAt,
    state: processes.length > 0 ? 'running' : 'stopped',
    diskBytes: await folderBytes(machineFolder(layout, id)),
  };
}

async function makeSandbox(layout: Layout, request: MachineRequest, work: Work): Promise<void> {
  const folder = machineFolder(layout, request.id);
  await passFence();
  await removeTree(folder);
  await makeFolder(layout.machines);
  await requireSpace(layout.home);
  await mkdir(folder, { mode: 0o700 });
  work.progress('making a scratch root');
  const root = rootOf(folder);
  // Each only where the one above is: whoever comes back from the dead makes none anew that was destroyed.
  await mkdir(root);
  for (const name of FOLDERS) await mkdir(path.join(root, name));
  const disks: string[] = [];
  for (const [index, size] of request.shape.diskBytes.entries()) {
    // Named as the target disks of a VM are: /dev/vda is the live system's there.
    const disk = path.join(root, 'dev', `vd${String.fromCharCode('b'.charCodeAt(0) + index)}`);
    await passFence();
    const handle = await open(disk, 'w');
    await handle.truncate(size);
    await handle.close();
    disks.push(disk);
  }
  await keyPairAt(hostKeyFile(folder, 'live'), 'nixproof-sandbox');
  await keyPairAt(loginKeyFile(folder), 'nixproof');
  await writeRecord(layout, {
    id: request.id,
    driver: 'sandbox',
    base: request.base,
    createdAt: new Date().toISOString(),
    disks,
    boot: 1,
    stage: 'live',
  } as SandboxRecord);
}

async function requireSpace(home: string): Promise<void> {
  const { bavail, bsize } = await statfs(home);
  const free = bavail * bsize;
  if (free >= MIN_FREE_BYTES) return;
  throw new NixproofError(
    'HOST_DISK_FULL',
    `${home} has ${Math.floor(free / 1048576)} MiB left, a sandbox needs 256 MiB`,
    {
      hint: FULL_DISK_HINT,
      details: { freeBytes: free, neededBytes: MIN_FREE_BYTES },
    },
  );
}

function hostKeyFile(folder: string, stage: SandboxRecord['stage']): string {
  return path.join(folder, `host-key-${stage}`);
}

/**
 * Each sandbox has a login of its own: the key of one opens no other, nor a machine of another
 * driver.
 */
function loginKeyFile(folder: string): string {
  return path.join(folder, 'login-key');
}

function rootOf(folder: string): string {
  return path.join(folder, 'root');
}

/** Everything that a sandbox has started and that still runs. */
function processesOf(root: string): Promise<ProcessIdentity[]> {
  return processesWithEnvironment('NIXPROOF_ROOT', root);
}

async function endProcesses(root: string): Promise<void> {
  // What is killed may have started more in the meantime: look again until there is nothing.
  for (;;) {
    const processes = await processesOf(root);
    await passFence();
    if (processes.length === 0) return;
    await Promise.all(processes.map((identity) => terminate(identity, 1000)));
  }
}

async function attachSandbox(layout: Layout, id: string, work: Work): Promise<Machine> {
  const folder = machineFolder(layout, id);
  const first = await readRecord<SandboxRecord>(layout, id);
  if (!first || first.stage === 'off') throw gone(id);
  const login = await readKeyPair(loginKeyFile(folder), 'nixproof');
  let server: Promise<SandboxServer> | undefined;
  let record = first;
  const root = rootOf(folder);

  const serving = async () => {
    const started = await server?.catch(() => undefined);
    return started?.isUp ? started : undefined;
  };
  const start = () =>
    startSandboxServer({
      hostKeyFile: hostKeyFile(folder, record.stage),
      authorizedKey: login.publicKey,
      cwd: root,
      env: sandboxEnvironment(id, root),
    });
  /** Each waits for who asked before: two at once get the same one. */
  const serve = () => {
    const before = serving();
    return (server = before.then((started) => started ?? start()));
  };
  const endpoint = async (): Promise<Endpoint> => ({
    host: '127.0.0.1',
    port: (await serve()).port,
    user: 'root',
    keyFile: login.keyFile,
    hostKey: (await readKeyPair(hostKeyFile(folder, record.stage), 'nixproof-sandbox')).publicKey
      .split(' ')
      .slice(0, 2)
      .join(' '),
  });
  const isThere = async () => {
    const current = await readRecord<SandboxRecord>(layout, id);
    return current !== undefined && current.stage !== 'off';
  };
  const connection = keepConnection(({ signal }) =>
    handshakes.run(signal, async () => openConnection(await endpoint(), { signal })),
  );
  const close = async () => {
    await connection[Symbol.asyncDispose]();
    const before = serving();
    server = undefined;
    await (await before)?.[Symbol.asyncDispose]();
  };
  const restart = async (stage: SandboxRecord['stage']) => {
    await close();
    await endProcesses(root);
    if (stage === 'installed') await keyPairAt(hostKeyFile(folder, 'installed'), 'nixproof-sandbox');
    record = { ...record, boot: record.boot + 1, stage };
    await writeRecord(layout, record);
  };

  work.signal.throwIfAborted();
  return {
    info: record,
    detail: 'sandbox: processes of this host in a scratch folder',
    disks: record.disks,
    sharesSystem: true,
    resolvePath: (absolute) => path.join(root, path.posix.normalize(`/${absolute}`)),
    endpoint,
    async connect(work) {
      if (!(await isThere())) throw gone(id);
      return connection.get(work);
    },
    isRunning: isThere,
    async restartInstalled() {
      if (record.stage === 'live') await restart('installed');
    },
    reboot: () => restart(record.stage),
    async crash() {
      if (!(await isThere())) return;
      record = { ...record, stage: 'off' };
      await writeRecord(layout, record);
      await close();
      // As when the power goes: nothing has the time to tidy up.
      for (const { pid } of await processesOf(root)) signalIfThere(pid, 'SIGKILL');
      await endProcesses(root);
    },
    [Symbol.asyncDispose]: close,
  };
}

function gone(id: string): NixproofError {
  return new NixproofError('MACHINE_GONE', `there is no machine ${id} on this host`);
}

function sandboxEnvironment(id: string, root: string): Record<string, string> {
  return {
    PATH: `${root}/usr/local/bin:${process.env['PATH'] ?? '/usr/bin:/bin'}`,
    HOME: `${root}/root`,
    USER: 'root',
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    TMPDIR: `${root}/tmp`,
    // The mark by which everything the machine ever started is found again: no other home has such a folder.
    NIXPROOF_ROOT: root,
    NIXPROOF_MACHINE: id,
  };
}
