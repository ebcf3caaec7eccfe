import {
  condition,
  continueAsNew,
  defineSignal,
  setCurrentDetails,
  setHandler,
  upsertMemo,
} from '@temporalio/workflow';
import type { HostInfo, HostRecord } from '../domain/host.js';
import { SIGNALS } from '../domain/names.js';

const hereSignal = defineSignal<[HostInfo]>(SIGNALS.here);
const drainSignal = defineSignal<[boolean]>(SIGNALS.drain);
const forgetSignal = defineSignal(SIGNALS.forget);

/** So many changes are in one execution's history. */
const CHANGES = 200;

/**
 * Keeps what is known of one host, for whoever looks for one: in its memo, which the server tells without a worker's help. It goes on
 * until somebody forgets the host. Whether the host is there is not kept: its worker asks its queue for work.
 */
export async function host(record: HostRecord): Promise<void> {
  let current = record;
  let changes = 0;
  const end = { forgotten: false };
  const change = (next: HostRecord) => {
    current = next;
    changes += 1;
    tell(current);
  };
  setHandler(hereSignal, (info) => change({ ...info, drained: current.drained }));
  setHandler(drainSignal, (drained) => change({ ...current, drained }));
  setHandler(forgetSignal, () => {
    end.forgotten = true;
  });
  tell(current);
  await condition(() => end.forgotten || changes >= CHANGES);
  if (!end.forgotten) await continueAsNew<typeof host>(current);
}

function tell(record: HostRecord): void {
  upsertMemo({ host: record });
  const { labels, drivers, machines, memoryMiB, drained } = record;
  setCurrentDetails(
    `${drained ? '**drained** · ' : ''}drivers ${drivers.join(', ')} · labels ${labels.join(', ')} · ${machines} machines, ${memoryMiB} MiB`,
  );
}
