// Gets what is slow to get, into the cache: `prefetch.mjs server` (the Temporal server), `prefetch.mjs base` (the debian image),
// `prefetch.mjs cluster` (what a torture on PostgreSQL builds), `prefetch.mjs root SUITE` (the root
// folder of another Debian).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const work = { signal: new AbortController().signal, progress: (message) => console.error(message) };
const what = process.argv[2];
if (what === 'server') {
  const { getTemporalServer } = await import('../dist/stack/server/temporal-server.js');
  console.error(`server: ${(await getTemporalServer({ work })).file}`);
} else if (what === 'base') {
  const { baseFor } = await import('../dist/bases/registry.js');
  const { layoutOf } = await import('../dist/host/paths.js');
  const home = mkdtempSync(path.join(tmpdir(), 'nixproof-prefetch-'));
  await baseFor('debian', layoutOf(home)).prepare(work);
  rmSync(home, { recursive: true, force: true });
} else if (what === 'cluster') {
  const { createJiti } = await import('jiti');
  const { clusterPrograms } = await createJiti(import.meta.url).import('../test/torture/cluster.ts');
  console.error(`cluster: ${(await clusterPrograms()).server}`);
} else if (what === 'root') {
  const { createJiti } = await import('jiti');
  const { debianRoot } = await createJiti(import.meta.url).import('../test/debian-root.ts');
  console.error(`root: ${await debianRoot(process.argv[3])}`);
} else {
  console.error('usage: prefetch.mjs server|base|cluster|root SUITE');
  process.exitCode = 2;
}
