import type { RunRequest } from '../domain/run.js';
import { readSecret, type Secret } from './read.js';
import { createRedactor, type Redactor } from './redactor.js';

/** The secrets of one run, and what keeps them out of all that is written. */
export interface RunSecrets {
  /** By name. */
  readonly values: ReadonlyMap<string, Secret>;
  readonly redactor: Redactor;
}

/** The secrets of the runs of one worker: in its memory only, each read once for each run. */
export interface SecretStore {
  /** @throws NixproofError `CONFIG_SECRET` */
  of(request: Pick<RunRequest, 'run' | 'profile'>, signal: AbortSignal): Promise<RunSecrets>;
  forget(run: string): void;
}

export function createSecretStore(): SecretStore {
  const known = new Map<string, Promise<RunSecrets>>();
  return {
    of({ run, profile }, signal) {
      const before = known.get(run);
      if (before) return before;
      const reading = readAll(profile, signal);
      known.set(run, reading);
      // What failed is read again by the next step.
      reading.catch(() => known.delete(run));
      return reading;
    },
    forget: (run) => void known.delete(run),
  };
}

async function readAll({ secrets = {} }: RunRequest['profile'], signal: AbortSignal): Promise<RunSecrets> {
  const values = new Map<string, Secret>();
  for (const [name, source] of Object.entries(secrets)) values.set(name, await readSecret(name, source, signal));
  return { values, redactor: createRedactor([...values.values()].map(({ value }) => value)) };
}
