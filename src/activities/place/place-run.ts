import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import { obstacle, type HostRecord, type HostStatus } from '../../domain/host.js';
import { requireOwnDisks } from '../../domain/installer.js';
import { hostTaskQueue, SIGNALS } from '../../domain/names.js';
import type { RunRequest } from '../../domain/run.js';
import { hostRecord, isForgotten, listHosts } from '../../temporal/host-directory.js';
import type { Layout } from '../../host/paths.js';
import type { Registry } from '../../machines/registry.js';
import type { Work } from '../../machines/machine.js';

/** Where a run takes place. */
export interface Place {
  readonly host: string;
  readonly taskQueue: string;
  readonly artifacts: string;
}

export interface Placing {
  readonly hostId: string;
  readonly labels: readonly string[];
  readonly layout: Layout;
  readonly machines: Registry;
  readonly client: Client;
  /** Absent where the run has no host yet. */
  readonly loss: Loss | undefined;
}

/** What a run knows of hosts that are gone. */
export interface Loss {
  /** The host that has the run, and does not do its steps. */
  readonly held: string;
  /** Those that it has lost before: what is left there is another run's to them. */
  readonly before: readonly string[];
  /** Whether the run's time is up: then the host is not waited for. */
  readonly late?: boolean;
}

/** A host that did not do a step for most of a minute and is there asks for work again at once; the server may have been away too. */
const BACK_WITHIN_MS = 15_000;
/** How often the directory is asked while no host fits. */
const LOOK_MS = 2000;

/**
 * Finds a host for a run: this one where it may have it, else another whose worker is there. While there are only hosts that are
 * drained, or lack a label, it waits and tells why. A run whose host seems gone keeps it where it is there or comes back before
 * there is another; it waits for none that was forgotten, nor when its time is up.
 * @throws NixproofError `HOST_LOST` then, where no other can have the run; `HOST_*`, `UNSUPPORTED_*` where no host can drive such a
 * machine
 */
export async function placeRun(request: RunRequest, placing: Placing, work: Work): Promise<Place> {
  const { hostId, layout, machines, client, loss } = placing;
  // Checked here too: another client may have planned the run otherwise.
  requireOwnDisks(request.profile, request.driver);
  const held = loss?.held;
  const wanted = request.profile.labels ?? [];
  const ours = placeOn(hostId, layout.runs, request);
  if (held === hostId) return ours;
  const keeper = held === undefined ? undefined : watchKeeper(held);
  // What a host that is missed for a moment is given to come back; a machine that exists once is not made anew elsewhere.
  const patienceMs = !keeper ? 0 : request.driver === 'ssh' && !loss?.late ? Infinity : BACK_WITHIN_MS;
  const keptOff = (host: Pick<HostRecord, 'host' | 'labels' | 'drained'>) =>
    loss?.before.includes(host.host) ? 'it was lost' : obstacle(host, wanted);
  const since = performance.now();
  let told = '';
  for (let look = 0; ; look++) {
    if (look > 0) await delay(LOOK_MS, undefined, { signal: work.signal });
    const hosts = keeper ? await listHosts(client) : undefined;
    const back = hosts && keeper?.(hosts);
    if (back) return placeOn(back.host, back.runs, request);
    const forgotten = held !== undefined && (await isForgotten(client, held));
    if (!forgotten && performance.now() - since < patienceMs) continue;
    const drained = (await hostRecord(client, hostId))?.drained ?? false;
    const here = keptOff({ host: hostId, labels: placing.labels, drained });
    const probe = here === undefined ? await machines.driver(request.driver).probe(work) : undefined;
    if (probe?.available) return ours;
    const others = (hosts ?? (await listHosts(client))).filter(
      ({ host, alive }) => alive && host !== hostId && host !== held,
    );
    const able = others.filter(({ drivers }) => drivers.includes(request.driver));
    const other = able.find((host) => keptOff(host) === undefined);
    if (other) return placeOn(other.host, other.runs, request);
    // Where only the driver is missing, nothing that anybody does to the hosts of now brings it.
    if (probe?.available === false && able.length === 0 && held === undefined) throw probe.reason;
    const reasons = [
      ...(held === undefined ? [] : [`${held}: ${forgotten ? 'it was forgotten' : 'it is gone'}`]),
      ...able.map((host) => `${host.host}: ${keptOff(host) ?? ''}`),
      ...(here === undefined ? [] : [`${hostId}: ${here}`]),
    ].join('; ');
    if (forgotten || loss?.late) {
      throw new NixproofError('HOST_LOST', `its host was lost, and no other can have the run (${reasons})`, {
        hint: 'see `nixproof hosts` for the hosts there are',
      });
    }
    const text = `waiting for a host (${reasons})`;
    if (text !== told) await client.workflow.getHandle(request.run).signal(SIGNALS.waiting, text);
    told = text;
  }
}

/** What finds a host that has asked for work again since the first look, or did so just now, by whichever clock. */
function watchKeeper(held: string): (hosts: readonly HostStatus[]) => HostStatus | undefined {
  let first: { readonly seen: string | undefined } | undefined;
  return (hosts) => {
    const keeper = hosts.find(({ host }) => host === held);
    first ??= { seen: keeper?.lastSeen };
    if (keeper?.lastSeen === undefined) return undefined;
    const isNews = keeper.lastSeen !== first.seen || Date.now() - Date.parse(keeper.lastSeen) < BACK_WITHIN_MS;
    return isNews ? keeper : undefined;
  };
}

function placeOn(host: string, runs: string, { run }: RunRequest): Place {
  return { host, taskQueue: hostTaskQueue(host), artifacts: path.join(runs, run) };
}
