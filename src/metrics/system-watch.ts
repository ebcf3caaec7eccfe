import { appendFile } from 'node:fs/promises';
import type { Installation } from '../domain/profile.js';
import type { SystemReading } from '../domain/system.js';
import { passFence } from '../host/fence.js';
import { readIfThere } from '../host/files.js';
import type { Connection, Machine, Work } from '../machines/machine.js';
import { cacheReader, readGuest, vmReader } from './system-readings.js';

const EVERY_MS = 5000;
/** A guest that takes long to answer, as an emulated one does, is asked less often: it has better things to do. */
const REST = { times: 20, mostMs: 20_000 };
/** After so many lines they come half as often, and again after as many more: a day's are less than 3 MB. */
const HALVE_AFTER = 2000;
/** How long the end of an attempt waits for a reading that is on its way. */
const GRACE_MS = 1000;

export interface WatchedSystem {
  /** Where the installer runs. */
  readonly machine: Machine;
  /** The machine that is installed, which may be another one, or away. */
  readonly target: Machine | undefined;
  readonly install: Installation;
  /** `system.ndjson`; one that is there already is gone on with. */
  readonly file: string;
  readonly work: Work;
}

/** What reads the system's counters now and then. It disturbs nobody: what goes wrong in it is a reading less. */
export interface SystemWatch {
  /** The connection to read through from here on: the watch opens none of its own. */
  through(connection: Connection): void;
  stop(): Promise<void>;
}

/** Notes every five seconds what the system the installer runs in, and its VM, have used of processor, memory, disks and network. */
export function watchSystem({ machine, target, install, file, work }: WatchedSystem): SystemWatch {
  const end = new AbortController();
  const signal = AbortSignal.any([work.signal, end.signal]);
  const readCache = cacheReader(machine, install);
  const readVm = vmReader(target);
  let connection: Connection | undefined;
  let running: Promise<void> | undefined;
  let lines: number | undefined;
  let ticks = 0;
  let restUntil = 0;

  const readGuestAndCache = async (): Promise<readonly (SystemReading | undefined)[]> => {
    const open = connection;
    if (!open?.isOpen) return [];
    const askedAt = performance.now();
    try {
      return [await readGuest(machine, open, signal), await readCache(open, signal).catch(() => undefined)];
    } finally {
      restUntil = performance.now() + Math.min(REST.mostMs, REST.times * (performance.now() - askedAt));
    }
  };
  const read = async () => {
    lines ??= await begin(file);
    if (performance.now() < restUntil) return;
    if (ticks++ % 2 ** Math.floor(lines / HALVE_AFTER) !== 0) return;
    const [guest, vm] = await Promise.all([readGuestAndCache().catch(() => []), readVm().catch(() => undefined)]);
    const told = [...guest, vm].filter((reading) => reading !== undefined);
    if (told.length === 0) return;
    await passFence();
    await appendFile(file, told.map((reading) => `${JSON.stringify(reading)}\n`).join(''), { mode: 0o600 });
    lines += told.length;
  };
  const tick = () => {
    // One at a time: a guest that is slow to answer is not asked twice.
    running ??= read()
      .catch(() => undefined)
      .finally(() => (running = undefined));
  };
  const timer = setInterval(tick, EVERY_MS);
  return {
    through(given) {
      const first = connection === undefined;
      connection = given;
      if (first) tick();
    },
    async stop() {
      clearInterval(timer);
      const impatient = setTimeout(() => end.abort(), GRACE_MS);
      await running;
      clearTimeout(impatient);
    },
  };
}

/** Ends a line that somebody who was killed has left unfinished. @returns how many there are */
async function begin(file: string): Promise<number> {
  const text = (await readIfThere(file)) ?? '';
  if (text !== '' && !text.endsWith('\n')) await appendFile(file, '\n');
  return text.split('\n').length - 1;
}
