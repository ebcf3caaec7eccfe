import { TICKS_A_SECOND, type SystemReading } from '../domain/system.js';

/** What `parseProc` reads, in one go; of Linux (proc(5)). The long one comes last, where it may be cut off. */
export const PROC_FILES = ['uptime', 'loadavg', 'meminfo', 'net/dev', 'diskstats', 'stat'].map(
  (name) => `/proc/${name}`,
);

/** Of diskstats, whatever the disk's own are. */
const SECTOR_BYTES = 512;
/** Disks, not their partitions, nor what is made of them: bytes are counted once. */
const WHOLE_DISK = /^(?:[shv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/;
/** A line of ours has a few dozen words; what is longer is passed over (the interrupts of a large machine). */
const MAX_LINE_CHARS = 1000;

/**
 * The text of `PROC_FILES`, one after the other, as a reading. Each line is known by its own form, whatever stands around it, and
 * what is no number counts as not there: a guest may say anything. Undefined where it does not tell its clock.
 */
export function parseProc(text: string): Pick<SystemReading, 'clock' | 'levels' | 'counters'> | undefined {
  const sums = new Map<string, number>();
  const add = (key: string, value: number) => sums.set(key, (sums.get(key) ?? 0) + value);
  for (const line of text.split('\n')) {
    if (line.length > MAX_LINE_CHARS) continue;
    const words = line.trim().split(/\s+/);
    readInterface(line, add);
    readDisk(words, add);
    readProcessor(words, add);
    readMemory(words, add);
    readClock(words, add);
  }
  const value = (key: string) => finite(sums.get(key));
  const clock = value('uptime');
  if (clock === undefined) return undefined;
  const cpus = value('cpus');
  return {
    clock,
    levels: known({
      load: value('load'),
      'memory.used': used(value('MemTotal:'), value('MemAvailable:')),
      'swap.used': value('SwapTotal:') === 0 ? undefined : used(value('SwapTotal:'), value('SwapFree:')),
    }),
    counters: known({
      cpu: cpus === undefined ? undefined : share(value('busy'), cpus),
      'disk.read': value('read'),
      'disk.write': value('written'),
      'network.receive': value('received'),
      'network.send': value('sent'),
    }),
  };
}

type Add = (key: string, value: number) => void;

/** `  eth0: RECEIVED packets … 6 more SENT …`: the number may stand right at the colon. */
function readInterface(line: string, add: Add): void {
  const [, name, rest = ''] = /^\s*([^\s:]{1,15}):([\d\s]+)$/.exec(line) ?? [];
  const numbers = rest.trim().split(/\s+/).map(Number);
  if (name === undefined || name === 'lo' || numbers.length < 16) return;
  add('received', numbers[0] ?? NaN);
  add('sent', numbers[8] ?? NaN);
}

/** `254 0 vda reads merged SECTORS ms writes merged SECTORS …`. */
function readDisk([major = '', , name = '', , , read, , , , written]: readonly string[], add: Add): void {
  if (!/^\d+$/.test(major) || !WHOLE_DISK.test(name)) return;
  add('read', Number(read) * SECTOR_BYTES);
  add('written', Number(written) * SECTOR_BYTES);
}

/** `cpu user nice system idle iowait irq softirq …`, for all together; `cpu0 …` for each. */
function readProcessor([name = '', user, nice, system, , , irq, softirq]: readonly string[], add: Add): void {
  if (/^cpu\d+$/.test(name)) add('cpus', 1);
  if (name !== 'cpu') return;
  for (const ticks of [user, nice, system, irq, softirq]) add('busy', Number(ticks) / TICKS_A_SECOND);
}

/** `MemTotal: 1234 kB`. */
function readMemory([name = '', kibibytes, unit]: readonly string[], add: Add): void {
  if (unit === 'kB' && /^(?:Mem(?:Total|Available)|Swap(?:Total|Free)):$/.test(name))
    add(name, Number(kibibytes) * 1024);
}

/** `SECONDS idle`, and of the load `LOAD of-5 of-15 running/all last`. */
function readClock(words: readonly string[], add: Add): void {
  const [first = ''] = words;
  if (!/^\d+\.\d\d$/.test(first)) return;
  if (words.length === 2) add('uptime', Number(first));
  if (words.length === 5) add('load', Number(first));
}

function finite(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function used(total: number | undefined, free: number | undefined): number | undefined {
  return total === undefined || free === undefined ? undefined : finite(total - free);
}

function share(busy: number | undefined, cpus: number): number | undefined {
  return busy === undefined ? undefined : finite(Number((busy / cpus).toFixed(3)));
}

function known(values: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
