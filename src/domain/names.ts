/** The task queue that every worker polls: workflows, and the choice of a host. */
export const SHARED_TASK_QUEUE = 'nixproof';

/** The task queue of one host: what touches its machines and artifacts. */
export function hostTaskQueue(hostId: string): string {
  return `nixproof-host-${hostId}`;
}

/** The suite a run belongs to: the names of both end in the same stamp (`20261123-071500-ab12`). */
export function suiteOfRun(run: string): string {
  return `suite-${run.split('-').slice(-3).join('-')}`;
}

/** Whether a workflow's id can be a run's: it becomes the name of a folder. */
export function isRunName(id: string): boolean {
  return /^\w[\w.-]*$/.test(id);
}

/** The name of a run that is made again: the suite's stamp stays at its end. */
export function retryOfRun(run: string, retry: number): string {
  return run.replace(/(?=(?:-[^-]+){3}$)/, `-retry${retry}`);
}

/** The machine of a run. */
export function machineOf({ run, machine }: { readonly run: string; readonly machine?: string }): string {
  return machine ?? run;
}

/** The sandbox beside a run's machine, for an installer that installs that machine from outside. */
export function benchOfRun(run: string): string {
  return `${run}-bench`;
}

/** The run that a machine was made for: a run may have several, named after it. */
export function runOfMachine(machine: string): string {
  return /^.+-\d{8}-\d{6}-[0-9a-f]{4}(?=-)/.exec(machine)?.[0] ?? machine;
}

/** Names that clients and workflows share. */
export const WORKFLOWS = {
  suite: 'testSuite',
  run: 'profileTest',
  host: 'host',
  scheduled: 'scheduledSuite',
} as const;
export const QUERIES = { report: 'report', suite: 'suite', suiteProgress: 'suiteProgress' } as const;
export const SIGNALS = {
  progressed: 'progressed',
  decide: 'decide',
  pause: 'pause',
  resume: 'resume',
  /** Whoever cancels again will not wait for tidying up. */
  force: 'force',
  /** Why a run has no host yet, or stands still in a step; nothing: it goes on. */
  waiting: 'waiting',
  /** Of a host's workflow: its worker has started; it is to get no more runs, or some again; it is gone for good. */
  here: 'here',
  drain: 'drain',
  forget: 'forget',
} as const;

/** Our search attributes, all keywords. */
export const SEARCH_ATTRIBUTES = {
  profile: 'NixproofProfile',
  verdict: 'NixproofVerdict',
  phase: 'NixproofPhase',
  suite: 'NixproofSuite',
} as const;

/** The state of a run whose step waits for room; a step that is cancelled meanwhile says so with it. */
export const WAITING_FOR_ROOM = 'waiting for room: the disk of the artifacts is full';
