import { faultNamed } from '../../faults/index.js';
import type { RunRequest } from '../../domain/run.js';
import type { Machine } from '../../machines/machine.js';
import type { RunFiles } from '../../records/artifacts.js';
import { readFaults } from './fault-journal.js';

const LOOK_MS = 1000;

/** Plugs a cable that was pulled in again when its time is up, whoever is at work on the machine then. Gives what ends that. */
export function keepCable({ cable }: Machine, { faults = [] }: RunRequest, files: RunFiles): () => void {
  const mayPull = faults.some(({ name }) => faultNamed(name).injection.kind === 'network');
  if (!cable || !mayPull) return () => undefined;
  let busy = false;
  const look = async () => {
    const pulled = (await readFaults(files)).find(({ until }) => until !== undefined);
    if (pulled?.until === undefined || Date.now() < pulled.until) return;
    await cable.setPlugged(true);
    clearInterval(timer);
  };
  const tick = () => {
    if (busy) return;
    busy = true;
    // A machine that crashed or is being restarted has no cable now: the next look may find one.
    void look()
      .catch(() => undefined)
      .finally(() => (busy = false));
  };
  const timer = setInterval(tick, LOOK_MS);
  tick();
  return () => clearInterval(timer);
}
