import { execa } from 'execa';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { getTemporalServer } from '../../src/stack/server/temporal-server.js';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import type { DriverProbe } from '../../src/machines/machine.js';
import { clusterPrograms } from './cluster.js';
import { FAKETIME } from './surroundings.js';

/** Where one that is confined has its files. */
const ROOT = 'NIXPROOF_TORTURE_ROOT';

function namespaces(): readonly string[] {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return ['--net', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child', ...asRoot];
}

/** Whether this host has what a torture takes: namespaces (util-linux), a packet filter, iproute2, a library for clocks that are wrong. */
export async function probeConfinement(): Promise<DriverProbe> {
  try {
    await execa('unshare', [...namespaces(), 'sh', '-c', 'ip link set lo up && nft list ruleset']);
    const env = { LD_PRELOAD: FAKETIME, FAKETIME: '+86400' };
    const { stdout } = await execa('date', ['+%s'], { env });
    if (Number(stdout) < Date.now() / 1000 + 80_000) throw new Error('Debian’s package libfaketime is not installed');
    return { available: true, detail: 'namespaces, nftables, libfaketime' };
  } catch (error) {
    return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', messageOf(error)) };
  }
}

/** The folder of a torture that is confined; undefined where this process is not. */
export function confinedRoot(): string | undefined {
  return process.env[ROOT];
}

/**
 * Runs this very command again where its loopback network, its mounts and its processes are its own: what is done to them there
 * happens to nobody else, and all of it is gone when it ends. Resolves with its exit status.
 */
export async function confine(server: 'file' | 'postgres'): Promise<number> {
  const probe = await probeConfinement();
  if (!probe.available) throw probe.reason;
  // What has to be got is got while there is a network.
  await getTemporalServer({ work: { signal: new AbortController().signal, progress: (text) => console.error(text) } });
  if (server === 'postgres') await clusterPrograms();
  const root = await mkdtemp(path.join(tmpdir(), 'nixproof-torture-'));
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
    const { exitCode, signal } = await execa('unshare', [...namespaces(), ...first, ...again], {
      env: { [ROOT]: root },
      stdio: 'inherit',
      reject: false,
    });
    if (signal) console.error(`ended by ${signal}`);
    return exitCode ?? 1;
  } finally {
    process.off('SIGINT', waitForIt);
    // Its last processes may still be dying: the pauses between the tries add up to ten seconds.
    await rm(root, { recursive: true, force: true, maxRetries: 14 });
  }
}
