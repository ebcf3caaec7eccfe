import { NixproofError } from './error.js';

/** The task queue that every worker polls: workflows, and the choice of a host. */
export const SHARED_TASK_QUEUE = 'nixproof';

/** The task queue of one host: what touches its machines and artifacts. */
export function hostTaskQueue(hostId: string): string {
  return `nixproof-host-${hostId}`;
}

/** Letters, digits, `.`, `_` and `-`, with neither `.` nor `-` first: never a path, never an option. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;

/** What bears a name that people type or that comes with a workflow's input. */
export type Named = 'run' | 'run or suite' | 'suite' | 'machine' | 'heal' | 'schedule' | 'host' | 'source';

/** Whether a text can be a name at all, such as a folder's that holds a run. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && NAME.test(text);
}

/** A name as it came from outside; names become parts of paths. @throws NixproofError `CONFIG_NAME` */
export function parseName(text: unknown, of: Named): string {
  if (isName(text)) return text;
  throw new NixproofError('CONFIG_NAME', `${JSON.stringify(text)} cannot be the name of a ${of}`, {
    hint: 'a name has letters, digits, dots, dashes and underscores only, and begins with a letter, a digit or an underscore',
  });
}

/** The suite a run belongs to: the names of both end in the same stamp (`20261123-071500-ab12`). */
export function suiteOfRun(run: string): string {
  return `suite-${run.split('-').slice(-3).join('-')}`;
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
