/**
 * How long until a pristine, booted machine runs and answers: a clone of a frozen template, a cold boot of the same base, libvirt's
 * snapshot-revert and the revert of autopkgtest's qemu runner. One guest for all: kernel, disk, memory, processors.
 * `npm run bench:clone [-- rounds]`; prints medians and ratios.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { DEBIAN_RECIPE } from '../src/bases/debian-recipe.js';
import { debianBase } from '../src/bases/debian.js';
import type { MachineShape } from '../src/domain/profile.js';
import type { Work } from '../src/domain/work.js';
import { cacheDirectory, layoutOf } from '../src/host/paths.js';
import { runCommand } from '../src/host/process.js';
import { waitForConnection } from '../src/machines/connection.js';
import type { Endpoint } from '../src/machines/machine.js';
import { BOOT_DEADLINE_MS } from '../src/machines/boot.js';
import { cloneTemplate } from '../src/machines/qemu/clone.js';
import { qemuArguments } from '../src/machines/qemu/command-line.js';
import { createOverlay } from '../src/machines/hypervisor/images.js';
import { describeInstallation, findInstallation } from '../src/machines/hypervisor/installation.js';
import { killMachine, launch, nameSockets } from '../src/machines/qemu/launch.js';
import { benchKey } from '../src/machines/login.js';
import { machineFiles } from '../src/machines/qemu/record.js';
import { templateFor } from '../src/machines/qemu/template.js';
import { RUNNER, autopkgtestGuest } from './autopkgtest-guest.js';
import { libvirtGuest } from './libvirt-guest.js';
import { median } from './median.js';

interface Sample {
  /** The hypervisor says that the guest runs; autopkgtest's runner, that it can be used. */
  readonly runningMs: number;
  /** `true` over a new SSH connection has answered; for autopkgtest, by the way of its runner. */
  readonly answeredMs: number;
}

const rounds = Number(process.argv[2] ?? 5);
// BIOS for all: libvirt has no snapshots of UEFI guests with its default variables' store.
const shape: MachineShape = { memoryMiB: 1024, cpus: 2, diskBytes: [], firmware: 'bios' };
const work: Work = { signal: new AbortController().signal, progress: (message) => console.error(message) };
/** Boots take minutes where they are emulated. */
const boots = Math.min(rounds, 3);
/**
 * What autopkgtest's runner needs of a guest: a kernel with 9p for its shared folder, which Debian's cloud kernel has not, and no
 * grub-pc, whose setting it changes at each revert and gives it five seconds.
 */
const recipe = {
  ...DEBIAN_RECIPE,
  packages: DEBIAN_RECIPE.packages
    .filter((name) => name !== 'grub-pc-bin')
    .map((name) => (name === 'linux-image-cloud-amd64' ? 'linux-image-amd64' : name)),
};
/** Of the others: the bench's own is not in it. */
const load = loadavg()[0]?.toFixed(1);
const home = await mkdtemp(path.join(tmpdir(), 'nixproof-bench-'));
const layout = layoutOf(home);

const medians = (samples: readonly Sample[]): Sample => ({
  runningMs: median(samples.map(({ runningMs }) => runningMs)),
  answeredMs: median(samples.map(({ answeredMs }) => answeredMs)),
});

const repeated = async (times: number, sample: () => Promise<Sample>) => {
  const samples: Sample[] = [];
  for (let round = 0; round < times; round++) samples.push(await sample());
  return samples;
};
const works = (program: string, args: readonly string[]) =>
  runCommand(program, args).then(
    () => true,
    () => false,
  );

try {
  const installation = await findInstallation(work.signal);
  const { accelerator, host } = installation;
  const { binary } = host;
  const base = await debianBase(layout, cacheDirectory(), recipe).prepare(work);
  const login = await benchKey(layout);
  const deadlineMs = BOOT_DEADLINE_MS[accelerator];
  const template = await templateFor({ base, shape, installation, login, folder: path.join(home, 'templates') }, work);

  const endpoint = (port: number, hostKey?: string): Endpoint => ({
    host: '127.0.0.1',
    port,
    user: 'root',
    keyFile: login.keyFile,
    hostKey,
  });
  const answer = async (to: Endpoint, timeoutMs: number) => {
    await using connection = await waitForConnection(to, { deadlineMs, timeoutMs });
    await connection.exec(['true']);
  };

  const clone = async (): Promise<Sample> => {
    const folder = path.join(home, 'clone');
    const start = performance.now();
    const { process } = await cloneTemplate(
      template,
      { id: 'bench', binary, folder, diskBytes: [], network: 'internet' },
      work,
    );
    const runningMs = performance.now() - start;
    await answer(endpoint(process.sshPort, template.hostKey), 20_000);
    const answeredMs = performance.now() - start;
    await killMachine(folder);
    return { runningMs, answeredMs };
  };

  const coldBoot = async (): Promise<Sample> => {
    const folder = await mkdtemp(path.join(home, 'cold-'));
    const files = machineFiles(folder);
    const start = performance.now();
    if (base.disk) await createOverlay(files.system, base.disk.path, base.disk.format, work.signal);
    const args = qemuArguments(
      { ...template.hardware, disks: [files.system] },
      {
        name: 'nixproof-bench',
        memory: { kind: 'own' },
        sockets: nameSockets(folder),
        incoming: false,
      },
    );
    const { qmp, sshPort } = await launch(binary, args, {
      folder,
      id: 'bench',
      network: 'internet',
      signal: work.signal,
    });
    await qmp[Symbol.asyncDispose]();
    const runningMs = performance.now() - start;
    await answer(endpoint(sshPort), 3000);
    const answeredMs = performance.now() - start;
    await killMachine(folder);
    return { runningMs, answeredMs };
  };

  const reverted = (revert: () => Promise<void>, command: () => Promise<void>) => async (): Promise<Sample> => {
    const start = performance.now();
    await revert();
    const runningMs = performance.now() - start;
    await command();
    return { runningMs, answeredMs: performance.now() - start };
  };

  const libvirt = async (): Promise<Sample[]> => {
    const type = accelerator === 'kvm' ? 'kvm' : 'qemu';
    await using guest = await libvirtGuest(home, base, { ...shape, publicKey: login.publicKey, type });
    await guest.start();
    await answer(endpoint(guest.port), 3000);
    await guest.snapshot();
    const command = () => answer(endpoint(guest.port), 20_000);
    return await repeated(
      rounds,
      reverted(() => guest.revert(), command),
    );
  };

  const autopkgtest = async (): Promise<Sample[]> => {
    await using guest = await autopkgtestGuest(home, base, { ...shape, accelerator, binary });
    await guest.open();
    return await repeated(
      boots,
      reverted(
        () => guest.revert(),
        () => guest.run(['true']),
      ),
    );
  };

  const clones = await repeated(rounds, clone);
  const reference = medians(clones);
  const row = (name: string, samples: readonly Sample[]) => {
    const { runningMs, answeredMs } = medians(samples);
    const cell = (ms: number, of: number) => `${(ms / 1000).toFixed(2)} s (${(ms / of).toFixed(1)}×)`.padStart(18);
    return `${name.padEnd(26)}${cell(runningMs, reference.runningMs)}${cell(answeredMs, reference.answeredMs)}${String(samples.length).padStart(8)}`;
  };

  console.log(`${describeInstallation(installation)}; load ${load} before; medians`);
  console.log(
    `the same guest in every row: Debian ${recipe.suite}, its kernel started directly, ${shape.memoryMiB} MiB, ${shape.cpus} cpus`,
  );
  console.log(`${''.padEnd(26)}${'guest running'.padStart(18)}${'first command'.padStart(18)}${'rounds'.padStart(8)}`);
  console.log(row('clone of a template', clones));
  console.log(row('cold boot', await repeated(boots, coldBoot)));
  if (await works('virsh', ['-c', 'qemu:///session', 'list'])) {
    console.log(row('libvirt snapshot-revert', await libvirt()));
  } else console.error('no libvirt answers at qemu:///session: no comparison with its snapshot-revert');
  if (await works(RUNNER, ['--help'])) {
    console.log(row('autopkgtest qemu revert', await autopkgtest()));
    console.log(
      "autopkgtest: until `revert` is answered (it boots anew); the first command by the runner's own way, not SSH",
    );
  } else console.error('autopkgtest is not installed: no comparison with the revert of its qemu runner');
} finally {
  await rm(home, { recursive: true, force: true });
}
