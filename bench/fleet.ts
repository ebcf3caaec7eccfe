import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { baseFor } from '../src/bases/registry.js';
import type { MachineShape } from '../src/domain/profile.js';
import type { Work } from '../src/domain/work.js';
import { layoutOf } from '../src/host/paths.js';
import { processesWithEnvironment } from '../src/host/process.js';
import { BOOT_DEADLINE_MS } from '../src/machines/boot.js';
import { waitForConnection } from '../src/machines/connection.js';
import { createOverlay } from '../src/machines/hypervisor/images.js';
import { benchKey } from '../src/machines/login.js';
import { qemuArguments } from '../src/machines/qemu/command-line.js';
import { createQemuDriver } from '../src/machines/qemu/driver.js';
import { describeInstallation, findInstallation } from '../src/machines/hypervisor/installation.js';
import { killMachine, launch, nameSockets } from '../src/machines/qemu/launch.js';
import { prepareBase } from '../src/machines/qemu/prepare.js';
import { machineFiles } from '../src/machines/qemu/record.js';

/**
 * Clones of one template side by side, and the memory they take together, beside machines that were booted cold: their QEMUs'
 * proportional set sizes (smaps_rollup, proc(5)), in which the template's memory is counted once. Cold boots are measured a few
 * and multiplied.
 *
 *     npm run bench:fleet -- [CLONES] [COLD_BOOTS]
 */

const count = Number(process.argv[2] ?? 10);
const colds = Number(process.argv[3] ?? 2);
const shape: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' };
const work: Work = { signal: new AbortController().signal, progress: (message) => console.error(message) };
const home = await mkdtemp(path.join(tmpdir(), 'nixproof-fleet-'));
const layout = layoutOf(home);
const driver = createQemuDriver({ layout });
const ids = Array.from({ length: count }, (_, index) => `fleet-${index}`);

/** KiB, of the QEMUs of these machines. */
async function memory(machines: readonly string[]): Promise<number> {
  let sum = 0;
  for (const id of machines) {
    for (const { pid } of await processesWithEnvironment('NIXPROOF_MACHINE', id)) {
      sum += Number(/^Pss:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    }
  }
  return sum;
}

async function coldBoot(id: string): Promise<void> {
  const installation = await findInstallation(work.signal);
  const base = await baseFor('debian', layout).prepare(work);
  const login = await benchKey(layout);
  const folder = await mkdtemp(path.join(home, 'cold-'));
  const files = machineFiles(folder);
  if (base.disk) await createOverlay(files.system, base.disk.path, base.disk.format, work.signal);
  const args = qemuArguments(
    {
      accelerator: installation.accelerator,
      cpus: shape.cpus,
      memoryMiB: shape.memoryMiB,
      firmware: shape.firmware,
      disks: [files.system],
      publicKey: login.publicKey,
      ...(base.boot.kind === 'direct' ? { direct: base.boot } : {}),
    },
    { name: id, memory: { kind: 'own' }, sockets: nameSockets(folder), incoming: false },
  );
  const { qmp, sshPort } = await launch(installation.host.binary, args, {
    folder,
    id,
    network: 'internet',
    signal: work.signal,
  });
  await qmp[Symbol.asyncDispose]();
  coldFolders.push(folder);
  const endpoint = { host: '127.0.0.1', port: sshPort, user: 'root', keyFile: login.keyFile, hostKey: undefined };
  await using connection = await waitForConnection(endpoint, {
    deadlineMs: BOOT_DEADLINE_MS[installation.accelerator],
    timeoutMs: 3000,
  });
  await connection.exec(['systemctl', 'is-system-running', '--wait'], { timeoutMs: 5 * 60_000 });
}

const coldFolders: string[] = [];
const mib = (kib: number) => `${Math.round(kib / 1024).toLocaleString('en')} MiB`;
try {
  await prepareBase('debian', layout, work, shape);
  const started = performance.now();
  const names = new Set<string>();
  for (const id of ids) {
    await using machine = await driver.create({ id, base: 'debian', shape }, work);
    const connection = await machine.connect(work);
    names.add((await connection.exec(['sh', '-c', 'hostname; cat /etc/machine-id /etc/ssh/*_key.pub'])).stdout);
  }
  const seconds = (performance.now() - started) / 1000;
  const clones = await memory(ids);
  for (const id of ids) await driver.destroy(id, work);
  const coldIds = Array.from({ length: colds }, (_, index) => `cold-${index}`);
  for (const id of coldIds) await coldBoot(id);
  const cold = ((await memory(coldIds)) / colds) * count;
  const installation = await findInstallation(work.signal);
  console.log(`${describeInstallation(installation)}; ${shape.memoryMiB} MiB each; load ${loadavg()[0]?.toFixed(1)}`);
  console.log(
    `${count} clones: ${mib(clones)}, ${seconds.toFixed(1)} s until the last answered, ${names.size} identities`,
  );
  console.log(`${count} cold boots (${colds} measured): ${mib(cold)}, ${(cold / clones).toFixed(1)} times as much`);
} finally {
  for (const id of ids) await driver.destroy(id, work);
  for (const folder of coldFolders) await killMachine(folder);
  await rm(home, { recursive: true, force: true });
}
