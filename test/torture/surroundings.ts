import { execa } from 'execa';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** What a bench stands on, as far as it can be spoiled: the loopback network, the disk of its artifacts, the workers' clocks. */
export interface Surroundings {
  /** What a worker has in its environment for its clock to be one that jumps. */
  workerEnv(worker: number): Record<string, string>;
  /** Every connection but those of `kept` breaks at its next packet, and none is made. */
  cutMachines(): Promise<Mend>;
  /** Packets of every connection but those of `kept` vanish. */
  swallowMachines(): Promise<Mend>;
  /** Packets to and from the Temporal server vanish. */
  swallowServer(): Promise<Mend>;
  /** There is no room left for artifacts. */
  fillDisk(): Promise<Mend>;
  /** A worker's clock is wrong by so much; time goes on as fast as ever. */
  jumpClock(worker: number, byMs: number): Promise<Mend>;
}

export type Mend = () => Promise<void>;

export interface SurroundingsOptions {
  readonly root: string;
  /** The folder that becomes a small disk of its own. */
  readonly artifacts: string;
  /** The Temporal server's ports, and those of whatever else of the bench is no machine. */
  readonly serverPorts: readonly number[];
  readonly otherPorts: readonly number[];
}

const DISK = '256m';
/** Debian's libfaketime: a clock from a file, looked at every second; what measures time is left alone. */
export const FAKETIME = '/usr/$LIB/faketime/libfaketimeMT.so.1';

/** Only for a process that is confined: its loopback and its mounts are spoiled. */
export async function openSurroundings(options: SurroundingsOptions): Promise<Surroundings> {
  const { root, artifacts, serverPorts, otherPorts } = options;
  const disk = path.join(root, 'disk');
  await mkdir(disk);
  await mkdir(artifacts, { recursive: true });
  await execa('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'nixproof-torture', disk]);
  await mkdir(path.join(disk, 'runs'));
  await execa('mount', ['--bind', path.join(disk, 'runs'), artifacts]);
  const clockOf = (worker: number) => path.join(root, `clock-${worker}`);
  const setClock = (worker: number, byMs: number) =>
    writeFile(clockOf(worker), `${byMs < 0 ? '-' : '+'}${Math.round(Math.abs(byMs) / 1000)}\n`);

  const rules = new Set<string>();
  let applied: Promise<unknown> = Promise.resolve();
  const filter = async (rule: string): Promise<Mend> => {
    const own = `${rule} comment "${rules.size}-${performance.now()}"`;
    const apply = () => (applied = applied.then(() => applyRules([...rules])));
    rules.add(own);
    await apply();
    return async () => {
      rules.delete(own);
      await apply();
    };
  };
  const both = async (...some: Promise<Mend>[]): Promise<Mend> => {
    const mends = await Promise.all(some);
    return async () => {
      await Promise.all(mends.map((mend) => mend()));
    };
  };
  const server = `{ ${serverPorts.join(', ')} }`;
  const kept = `{ ${[...serverPorts, ...otherPorts].join(', ')} }`;
  const ofMachines = `tcp dport != ${kept} tcp sport != ${kept}`;
  return {
    workerEnv: (worker) => ({
      LD_PRELOAD: FAKETIME,
      FAKETIME_TIMESTAMP_FILE: clockOf(worker),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_RESET: '1',
    }),
    cutMachines: () => filter(`${ofMachines} reject with tcp reset`),
    swallowMachines: () => filter(`${ofMachines} drop`),
    swallowServer: () => both(filter(`tcp dport ${server} drop`), filter(`tcp sport ${server} drop`)),
    async fillDisk() {
      const ballast = path.join(disk, `ballast-${performance.now()}`);
      const { bavail, bsize } = await statfs(disk);
      if (bavail > 0) await execa('fallocate', ['--length', String(bavail * bsize), ballast], { reject: false });
      return () => rm(ballast, { force: true });
    },
    async jumpClock(worker, byMs) {
      await setClock(worker, byMs);
      return () => setClock(worker, 0);
    },
  };
}

/** The whole of the packet filter, in one transaction (nft(8)). */
async function applyRules(rules: readonly string[]): Promise<void> {
  const chain = ['type filter hook input priority 0', ...rules].join('\n    ');
  const table = `table inet torture {\n  chain input {\n    ${chain}\n  }\n}`;
  await execa('nft', ['-f', '-'], { input: `add table inet torture\ndelete table inet torture\n${table}\n` });
}
