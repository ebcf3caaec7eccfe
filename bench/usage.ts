import { readFile } from 'node:fs/promises';
import { identify, processesWithVariable, type ProcessIdentity } from '../src/host/process.js';
import { processUsage } from '../src/metrics/process-usage.js';
import type { Arena } from '../test/torture/arena.js';

export const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;

/** Resident memory and processor time of the arena's processes by what they are; a worker's SSH servers are its child. */
export async function usage(arena: Arena): Promise<Map<string, { readonly rss: number; readonly cpu: number }>> {
  const found = new Map<string, { rss: number; cpu: number }>();
  const add = async (kind: string, identity: ProcessIdentity | undefined) => {
    const used = identity && (await processUsage(identity));
    if (used) found.set(kind, { rss: used.residentBytes, cpu: used.cpuSeconds });
  };
  const ours = await processesWithVariable('NIXPROOF_HOME', (home) => home === arena.layout.home);
  for (const { identity } of ours) {
    const command = (await readFile(`/proc/${identity.pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const kind = command.includes('start-dev') ? 'server' : command.includes('worker') ? 'worker' : undefined;
    if (kind === undefined) continue;
    await add(kind, identity);
    if (kind !== 'worker') continue;
    const children = await readFile(`/proc/${identity.pid}/task/${identity.pid}/children`, 'utf8').catch(() => '');
    for (const child of children.trim().split(' ')) await add('sandboxes', await identify(Number(child)));
  }
  return found;
}

/** Looks every second; `stop` gives the most that each kind of process had resident, bytes. */
export function watchPeaks(arena: Arena): { stop(): ReadonlyMap<string, number> } {
  const peaks = new Map<string, number>();
  const watching = setInterval(() => {
    void usage(arena).then((now) => {
      for (const [kind, { rss }] of now) peaks.set(kind, Math.max(rss, peaks.get(kind) ?? 0));
    });
  }, 1000);
  return {
    stop() {
      clearInterval(watching);
      return peaks;
    },
  };
}
