/** What one run of a torture is, and what is done to it. Times in milliseconds after its start. */
export interface PlannedRun {
  readonly index: number;
  readonly kind: 'counted' | 'healed' | 'failed';
  /** Lines that its installer prints in each attempt. */
  readonly lines: number;
  readonly cancelAfterMs?: number;
  /** Everything that runs in its machine is killed then. */
  readonly killGuestAfterMs?: number;
}

/** What is done to the bench. Times in milliseconds after the beginning; workers are counted from 0. */
export type PlannedFault = { readonly atMs: number } & (
  | { readonly kind: 'kill-worker'; readonly worker: number }
  /** Longer than a heartbeat may take: its steps are another's when it comes back. */
  | { readonly kind: 'stop-worker'; readonly worker: number; readonly forMs: number }
  | { readonly kind: 'end-worker'; readonly worker: number }
  | { readonly kind: 'kill-server'; readonly forMs: number }
);

export interface Plan {
  readonly seed: number;
  readonly runs: readonly PlannedRun[];
  /** By time. */
  readonly faults: readonly PlannedFault[];
}

export interface PlanSize {
  readonly seed: number;
  readonly runs: number;
  readonly minutes: number;
  readonly workers: number;
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
export function planOf({ seed, runs, minutes, workers }: PlanSize): Plan {
  const ofRuns = randomFrom(seed);
  const ofFaults = randomFrom(seed ^ 0x5bd1e995);
  return {
    seed,
    runs: Array.from({ length: runs }, (_, index) => plannedRun(index, ofRuns)),
    faults: plannedFaults(minutes * 60_000, workers, ofFaults),
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

function plannedFaults(lengthMs: number, workers: number, random: () => number): PlannedFault[] {
  const whole = (from: number, to: number) => from + Math.floor(random() * (to - from));
  const faults: PlannedFault[] = [];
  for (let atMs = whole(1000, 4000); atMs < lengthMs; atMs += whole(2000, 8000)) {
    const worker = whole(0, workers);
    const which = random();
    if (which < 0.4) faults.push({ atMs, kind: 'kill-worker', worker });
    else if (which < 0.65) faults.push({ atMs, kind: 'stop-worker', worker, forMs: whole(11_000, 20_000) });
    else if (which < 0.8) faults.push({ atMs, kind: 'end-worker', worker });
    else faults.push({ atMs, kind: 'kill-server', forMs: whole(200, 3000) });
  }
  return faults;
}

/** One fault, for people. */
export function faultText(fault: PlannedFault): string {
  const at = `${(fault.atMs / 1000).toFixed(1)} s`;
  const what = 'worker' in fault ? `${fault.kind} ${fault.worker}` : fault.kind;
  return 'forMs' in fault ? `${at} ${what} for ${(fault.forMs / 1000).toFixed(1)} s` : `${at} ${what}`;
}
