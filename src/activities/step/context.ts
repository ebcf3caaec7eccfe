import type { RunRequest } from '../../domain/run.js';
import type { Machine, Work } from '../../machines/machine.js';
import type { RunFiles } from '../../records/artifacts.js';
import type { RunSecrets } from '../../secrets/store.js';

/** What a step of a run on its machine works with. */
export interface StepContext {
  /** Whose answers have no secrets: see `withoutSecrets`. */
  readonly machine: Machine;
  readonly secrets: RunSecrets;
  readonly request: RunRequest;
  readonly files: RunFiles;
  readonly work: Work;
}

/** What a step of the installer works with: `machine` is where the installer runs. */
export interface InstallContext extends StepContext {
  /** The machine that is installed; undefined where it is another one and does not answer. */
  readonly target: Machine | undefined;
}
