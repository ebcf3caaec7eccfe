import { readFile } from 'node:fs/promises';
import { processesWithVariable } from '../src/host/process.js';
import { processUsage } from '../src/host/process-usage.js';
import type { Arena } from '../test/torture/arena.js';

export const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;

/** Resident memory and processor time of the arena's processes by what they are. */
export async function usage(arena: Arena): Promise<Map<string, { readonly rss: number; readonly cpu: number }>> {
  const found = new Map<string, { rss: number; cpu: number }>();
  const ours = await processesWithVariable('NIXPROOF_HOME', (home) => home === arena.layout.home);
  for (const { identity } of ours) {
    const command = (await readFile(`/proc/${identity.pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const kind = command.includes('start-dev') ? 'server' : command.includes('worker') ? 'worker' : undefined;
    const used = kind === undefined ? undefined : await processUsage(identity);
    if (kind !== undefined && used) found.set(kind, { rss: used.residentBytes, cpu: used.cpuSeconds });
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
