import { execa } from 'execa';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { getTemporalServer } from '../../src/stack/temporal-server.js';
import { clusterPrograms } from './cluster.js';

/** Where one that is confined has its files. */
const ROOT = 'NIXPROOF_TORTURE_ROOT';

/** The folder of a torture that is confined; undefined where this process is not. */
export function confinedRoot(): string | undefined {
  return process.env[ROOT];
}

/**
 * Runs this very command again where its loopback network, its mounts and its processes are its own: what is done to them there
 * happens to nobody else, and all of it is gone when it ends. Resolves with its exit status.
 */
export async function confine(server: 'file' | 'postgres'): Promise<number> {
  // What has to be got is got while there is a network.
  await getTemporalServer({ work: { signal: new AbortController().signal, progress: (text) => console.error(text) } });
  if (server === 'postgres') await clusterPrograms();
  const root = await mkdtemp(path.join(tmpdir(), 'nixproof-torture-'));
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const namespaces = ['--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child', ...asRoot];
  // A shell is the first process: it reaps what loses its parents.
  const first = [
    'sh',
    '-c',
    'ip link set lo up && mkdir -p /run/netns && mount -t tmpfs nixproof-torture /run/netns && { "$@" & wait $!; }',
    'sh',
  ];
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const waitForIt = () => undefined;
  process.on('SIGINT', waitForIt);
  try {
    const { exitCode, signal } = await execa('unshare', [...namespaces, ...first, ...again], {
      env: { [ROOT]: root },
      stdio: 'inherit',
      reject: false,
    });
    if (signal) console.error(`ended by ${signal}`);
    return exitCode ?? 1;
  } finally {
    process.off('SIGINT', waitForIt);
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }
}
