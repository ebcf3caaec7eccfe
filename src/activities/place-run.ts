import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import path from 'node:path';
import { obstacle, type HostStatus } from '../domain/host.js';
import { hostTaskQueue, SIGNALS } from '../domain/names.js';
import type { RunRequest } from '../domain/run.js';
import { hostRecord, listHosts } from '../host-directory.js';
import type { Layout } from '../host/paths.js';
import type { Registry } from '../machines/registry.js';
import type { Work } from '../machines/machine.js';
import type { Place } from './index.js';

export interface Placing {
  readonly hostId: string;
  readonly labels: readonly string[];
  readonly layout: Layout;
  readonly machines: Registry;
  readonly client: Client;
  /** The host that has the run, where that seems to be gone. */
  readonly held: string | undefined;
}

/** A host that did not do a step for most of a minute and is there asks for work again at once; the server may have been away too. */
const BACK_WITHIN_MS = 15_000;
/** How often the directory is asked while no host fits. */
const LOOK_MS = 2000;

/**
 * Finds a host for a run: this one where it may have it, else another whose worker is there. While there are only hosts that are
 * drained, or lack a label, it waits and tells why. A run whose host seems gone keeps it where it is there or comes back before
 * there is another.
 * @throws NixproofError `HOST_*`, `UNSUPPORTED_*` where no host can drive such a machine
 */
export async function placeRun(request: RunRequest, placing: Placing, work: Work): Promise<Place> {
  const { hostId, layout, machines, client, held } = placing;
  const wanted = request.profile.labels ?? [];
  const ours = placeOn(hostId, layout.runs, request);
  if (held === hostId) return ours;
  let told = '';
  for (const since = Date.now(); ;) {
    if (held !== undefined) {
      const keeper = (await listHosts(client)).find(({ host }) => host === held);
      if (keeper && isBack(keeper)) return placeOn(held, keeper.runs, request);
    }
    const mayMove = held === undefined || Date.now() - since > BACK_WITHIN_MS;
    const drained = (await hostRecord(client, hostId))?.drained ?? false;
    const here = obstacle({ labels: placing.labels, drained }, wanted);
    const probe = here === undefined ? await machines.driver(request.driver).probe(work) : undefined;
    if (probe?.available && mayMove) return ours;
    const others = (await listHosts(client)).filter(({ host, alive }) => alive && host !== hostId && host !== held);
    const able = others.filter(({ drivers }) => drivers.includes(request.driver));
    const other = able.find((host) => obstacle(host, wanted) === undefined);
    if (mayMove && other) return placeOn(other.host, other.runs, request);
    // Where only the driver is missing, nothing that anybody does to the hosts of now brings it.
    if (probe?.available === false && able.length === 0 && held === undefined) throw probe.reason;
    const why = [...able, ...(here === undefined ? [] : [{ host: hostId, labels: placing.labels, drained }])];
    const reasons = why.map((host) => `${host.host}: ${obstacle(host, wanted) ?? ''}`);
    const away = held === undefined ? [] : [`${held}: it is gone`];
    const text = `waiting for a host (${[...away, ...reasons].join('; ')})`;
    if (mayMove && text !== told) await client.workflow.getHandle(request.run).signal(SIGNALS.waiting, text);
    if (mayMove) told = text;
    await delay(LOOK_MS, undefined, { signal: work.signal });
  }
}

function isBack({ lastSeen }: HostStatus): boolean {
  return lastSeen !== undefined && Date.now() - Date.parse(lastSeen) < BACK_WITHIN_MS;
}

function placeOn(host: string, runs: string, { run }: RunRequest): Place {
  return { host, taskQueue: hostTaskQueue(host), artifacts: path.join(runs, run) };
}
