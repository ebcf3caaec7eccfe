import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { obstacle } from '../domain/host.js';
import { hostTaskQueue, SIGNALS } from '../domain/names.js';
import type { RunRequest } from '../domain/run.js';
import { hostRecord, listHosts } from '../host-directory.js';
import type { Layout } from '../host/paths.js';
import type { Registry } from '../machines/registry.js';
import type { Work } from '../machines/machine.js';
import { runFiles } from '../records/artifacts.js';
import type { Place } from './index.js';

export interface Placing {
  readonly hostId: string;
  readonly labels: readonly string[];
  readonly layout: Layout;
  readonly machines: Registry;
  readonly client: Client;
}

/** How often the directory is asked while no host fits. */
const LOOK_MS = 2000;

/**
 * Finds a host for a run: this one where it may have it, else another whose worker is there. While there are only hosts that are
 * drained, or lack a label, it waits and tells why.
 * @throws NixproofError `HOST_*`, `UNSUPPORTED_*` where no host can drive such a machine
 */
export async function placeRun(request: RunRequest, placing: Placing, work: Work): Promise<Place> {
  const { hostId, layout, machines, client } = placing;
  const wanted = request.profile.labels ?? [];
  let told = '';
  for (;;) {
    const drained = (await hostRecord(client, hostId))?.drained ?? false;
    const here = obstacle({ labels: placing.labels, drained }, wanted);
    const probe = here === undefined ? await machines.driver(request.driver).probe(work) : undefined;
    if (probe?.available) return placeOn(hostId, runFiles(layout.runs, request.run).folder, []);
    const others = (await listHosts(client)).filter(({ host, alive }) => alive && host !== hostId);
    const able = others.filter(({ drivers }) => drivers.includes(request.driver));
    const other = able.find((host) => obstacle(host, wanted) === undefined);
    if (other) return placeOn(other.host, `${other.runs}/${request.run}`, []);
    // Where only the driver is missing, nothing that anybody does to the hosts of now brings it.
    if (probe && able.length === 0) throw probe.reason;
    const why = [...able, ...(here === undefined ? [] : [{ host: hostId, labels: placing.labels, drained }])];
    const reasons = why.map((host) => `${host.host}: ${obstacle(host, wanted) ?? ''}`);
    const text = `waiting for a host (${reasons.join('; ')})`;
    if (text !== told) await client.workflow.getHandle(request.run).signal(SIGNALS.waiting, text);
    told = text;
    await delay(LOOK_MS, undefined, { signal: work.signal });
  }
}

function placeOn(host: string, artifacts: string, notes: readonly string[]): Place {
  return { host, taskQueue: hostTaskQueue(host), artifacts, notes };
}
