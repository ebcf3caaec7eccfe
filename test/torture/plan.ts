/** What one run of a torture is, and what is done to it. Times in milliseconds after its start. */
export interface PlannedRun {
  readonly index: number;
  readonly kind: 'counted' | 'healed' | 'failed';
  /** Lines that its installer prints in each attempt. */
  readonly lines: number;
  readonly cancelAfterMs?: number;
  /** Everything that runs in its machine, or the machine's own process, is killed then. */
  readonly killGuestAfterMs?: number;
}

/** What is done to the bench. Times in milliseconds after the beginning; workers are counted from 0. */
export type PlannedFault = { readonly atMs: number } & (
  | { readonly kind: 'kill-worker'; readonly worker: number }
  /** Longer than a heartbeat may take: its steps are another's when it comes back. */
  | { readonly kind: 'stop-worker'; readonly worker: number; readonly forMs: number }
  | { readonly kind: 'end-worker'; readonly worker: number }
  | { readonly kind: 'kill-server'; readonly forMs: number }
  /** Its database is stopped at once, as by a crash, and started again. */
  | { readonly kind: 'restart-database' }
  /** Every connection to a machine is reset, and none is made. */
  | { readonly kind: 'cut-machines'; readonly forMs: number }
  /** What is sent to machines and comes from them vanishes; for less than the 20 s after which a check that cannot connect is red. */
  | { readonly kind: 'swallow-machines'; readonly forMs: number }
  /** What is sent to the server and comes from it vanishes. */
  | { readonly kind: 'swallow-server'; readonly forMs: number }
  /** The cable of the second host is cut: it is lost where that takes longer than a minute. */
  | { readonly kind: 'cut-host'; readonly forMs: number }
  /** No room for artifacts. */
  | { readonly kind: 'fill-disk'; readonly forMs: number }
  /** A worker's clock is wrong by so much. */
  | { readonly kind: 'jump-clock'; readonly worker: number; readonly byMs: number; readonly forMs: number }
);

export interface Plan {
  readonly size: PlanSize;
  readonly runs: readonly PlannedRun[];
  /** By time. */
  readonly faults: readonly PlannedFault[];
}

export interface PlanSize {
  readonly seed: number;
  readonly runs: number;
  readonly minutes: number;
  readonly workers: number;
  /** Seconds from one fault to the next, on average. */
  readonly every: number;
  readonly machines: 'sandbox' | 'qemu';
  /** With two, every second worker is on a host behind a cable. */
  readonly hosts: 1 | 2;
  /** The development server on a database file, or a server on PostgreSQL. */
  readonly server: 'file' | 'postgres';
}

/** Mulberry32 (Tommy Ettinger, public domain): the same numbers from 0 to 1 for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The plan is the size's alone: the same size gives the same plan. Runs and faults have numbers of their own. */
export function planOf(size: PlanSize): Plan {
  const ofRuns = randomFrom(size.seed);
  const ofFaults = randomFrom(size.seed ^ 0x5bd1e995);
  return {
    size,
    runs: Array.from({ length: size.runs }, (_, index) => plannedRun(index, ofRuns)),
    faults: plannedFaults(size, ofFaults),
  };
}

function plannedRun(index: number, random: () => number): PlannedRun {
  const whole = (from: number, to: number) => from + Math.floor(random() * (to - from));
  const kind = random() < 0.7 ? 'counted' : random() < 0.7 ? 'healed' : 'failed';
  const lines = whole(20, 800);
  const fate = random();
  const after = whole(0, 8000);
  return {
    index,
    kind,
    lines,
    ...(fate < 0.06 ? { cancelAfterMs: after } : fate < 0.12 ? { killGuestAfterMs: after } : {}),
  };
}

function plannedFaults({ minutes, workers, every, server, hosts }: PlanSize, random: () => number): PlannedFault[] {
  const whole = (from: number, to: number) => from + Math.floor(random() * (to - from));
  const oneOf = <T>(choices: readonly (readonly [share: number, make: () => T])[]): T => {
    let which = random() * choices.reduce((sum, [share]) => sum + share, 0);
    const found = choices.find(([share]) => (which -= share) < 0) ?? choices[0];
    if (!found) throw new RangeError('nothing to choose from');
    return found[1]();
  };
  const onDatabase = server === 'postgres' ? 20 : 0;
  const faults: PlannedFault[] = [];
  for (let atMs = whole(1000, 4000); atMs < minutes * 60_000; atMs += whole(every * 400, every * 1600)) {
    const worker = whole(0, workers);
    faults.push(
      oneOf<PlannedFault>([
        [27, () => ({ atMs, kind: 'kill-worker', worker })],
        [15, () => ({ atMs, kind: 'stop-worker', worker, forMs: whole(11_000, 20_000) })],
        [10, () => ({ atMs, kind: 'end-worker', worker })],
        [12, () => ({ atMs, kind: 'kill-server', forMs: whole(200, 3000) })],
        [9, () => ({ atMs, kind: 'cut-machines', forMs: whole(100, 3000) })],
        [7, () => ({ atMs, kind: 'swallow-machines', forMs: whole(2000, 10_000) })],
        [5, () => ({ atMs, kind: 'swallow-server', forMs: whole(1000, 15_000) })],
        [8, () => ({ atMs, kind: 'fill-disk', forMs: whole(1000, 12_000) })],
        [
          7,
          () => ({
            atMs,
            kind: 'jump-clock',
            worker,
            byMs: whole(-86_400_000, 86_400_000),
            forMs: whole(3000, 20_000),
          }),
        ],
        [hosts === 2 ? 10 : 0, () => ({ atMs, kind: 'cut-host', forMs: whole(10_000, 120_000) })],
        [onDatabase, () => ({ atMs, kind: 'restart-database' })],
      ]),
    );
  }
  return faults;
}

/** One fault, for people. */
export function faultText(fault: PlannedFault): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const words = [seconds(fault.atMs), fault.kind];
  if ('worker' in fault) words.push(String(fault.worker));
  if ('byMs' in fault) words.push('by', seconds(fault.byMs));
  if ('forMs' in fault) words.push('for', seconds(fault.forMs));
  return words.join(' ');
}
