import { createWriteStream } from 'node:fs';
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import path from 'node:path';
import type { MachineShape } from '../src/domain/profile.js';
import type { SuiteReport } from '../src/domain/suite.js';
import type { Work } from '../src/domain/work.js';
import { createQemuDriver } from '../src/machines/qemu/driver.js';
import { prepareBase } from '../src/machines/qemu/prepare.js';
import { openArena } from '../test/torture/arena.js';
import { nixproof } from './command.js';
import { median } from './median.js';

/**
 * The same install driven by a script of four lines and by nixproof: wall times and their ratio. On sandbox the script is the
 * installer itself with its output in a file; on qemu it clones the same machine, copies the installer and runs
 * `ssh root@machine ./install.sh >log`.
 *
 *     npm run bench:overhead -- [sandbox|qemu] [SECONDS] [ROUNDS]
 */

const driver = process.argv[2] === 'qemu' ? 'qemu' : 'sandbox';
const wantedSeconds = Number(process.argv[3] ?? 120);
const rounds = Number(process.argv[4] ?? 3);
/** A step of work, and a line of output. */
const INSTALL = `#!/bin/sh
echo ::PHASE::WORK
i=0; while [ $i -lt "$1" ]; do i=$((i+1)); echo "step $i $(head -c 4000000 /dev/zero | sha256sum)"; done
`;
const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' };
const work: Work = { signal: new AbortController().signal, progress: () => undefined };

await using arena = await openArena(1);
const folder = path.join(path.dirname(arena.layout.home), 'config');
await mkdir(folder);
await writeFile(path.join(folder, 'install.sh'), INSTALL, { mode: 0o755 });
const machines = createQemuDriver({ layout: arena.layout });
if (driver === 'qemu') await prepareBase('debian', arena.layout, work, SHAPE);

/** Runs a command with its output in a file; gives how long it took, seconds. */
async function timed(command: string, args: readonly string[], log: string): Promise<number> {
  const since = performance.now();
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.pipe(createWriteStream(log));
  const exit = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (exit !== 0) throw new Error(`${command} ended with ${exit}`);
  return (performance.now() - since) / 1000;
}

interface Sample {
  /** From the installer's first line to its end. */
  readonly install: number;
  /** All of it: machine, copying, installer, tidying up. */
  readonly whole: number;
}

async function bare(steps: number): Promise<Sample> {
  const log = path.join(folder, '..', 'bare.log');
  const since = performance.now();
  const whole = (install: number): Sample => ({ install, whole: (performance.now() - since) / 1000 });
  if (driver === 'sandbox') return whole(await timed('./install.sh', [String(steps)], log));
  await using machine = await machines.create({ id: 'bare', base: 'debian', shape: SHAPE }, work);
  const { host, port, user, keyFile } = await machine.endpoint();
  const quiet = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
  const options = ['-F', 'none', '-i', keyFile, ...quiet.flatMap((option) => ['-o', option])];
  await timed('scp', [...options, '-P', String(port), 'install.sh', `${user}@${host}:/root/install.sh`], log);
  const ssh = [...options, '-p', String(port), `${user}@${host}`, `/root/install.sh ${steps}`];
  const install = await timed('ssh', ssh, log);
  await machines.destroy('bare', work);
  return whole(install);
}

async function bench(steps: number): Promise<Sample> {
  const install = { kind: 'script', run: `./install.sh ${steps}`, reboot: false };
  const machine = { memory: SHAPE.memoryMiB, cpus: SHAPE.cpus, disks: ['1G'], firmware: SHAPE.firmware };
  const profile = { driver, ...(driver === 'qemu' ? { base: 'debian', machine } : {}), install };
  await writeFile(path.join(folder, 'nixproof.json'), JSON.stringify({ profiles: { one: profile } }));
  const { stdout, seconds: whole } = await nixproof(arena, folder, ['test', '--json']);
  const [run] = (JSON.parse(stdout) as SuiteReport).runs;
  if (run?.verdict !== 'passed') throw new Error(`nixproof: ${JSON.stringify(run?.fault ?? run?.failures)}`);
  return { install: run.phases.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000, whole };
}

const FEW = 10;
await bench(1);
const few = await bare(FEW);
const steps = Math.max(1, Math.round((FEW * wantedSeconds) / few.install));
console.log(`${driver}, ${steps} steps, load ${loadavg()[0]?.toFixed(1)} at the start`);
const [bares, benches]: [Sample[], Sample[]] = [[], []];
for (let round = 0; round < rounds; round++) {
  bares.push(await bare(steps));
  benches.push(await bench(steps));
}
const lines = (await readFile(path.join(folder, '..', 'bare.log'), 'utf8')).split('\n').length - 1;
for (const part of ['install', 'whole'] as const) {
  const [alone, ours] = [median(bares.map((one) => one[part])), median(benches.map((one) => one[part]))];
  console.log(
    `${part.padEnd(8)} script ${alone.toFixed(1)} s, nixproof ${ours.toFixed(1)} s: ${(ours / alone).toFixed(3)} times (medians of ${rounds}, ${lines} lines)`,
  );
}
