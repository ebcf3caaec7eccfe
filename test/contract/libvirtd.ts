import { execa } from 'execa';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { processesWithEnvironment, terminate, waitUntil } from '../../src/host/process.js';

/** A libvirtd of the tests' own. Stopping it ends everything that it started. */
export interface Libvirtd {
  readonly uri: string;
  stop(): Promise<void>;
}

const START_MS = 2 * 60_000;
/** What a privileged libvirtd keeps at fixed places: here each is empty and its own. */
const PLACES = ['/etc/libvirt', '/var/lib/libvirt', '/var/cache/libvirt', '/var/log/libvirt', '/run/libvirt'];

/** In a container there is neither a cgroup nor a device namespace to be had. */
const QEMU_CONF = 'cgroup_controllers = [ ]\nnamespaces = [ ]\n';
/** Whoever libvirt runs QEMU as where it is not told: here nobody, for its package's own user may not be there. */
const QEMU_USER = 'user = "+65534"\ngroup = "+65534"\n';

/**
 * In namespaces of its own: with its first process everything in them ends, and what it mounted goes with it. That one is the shell,
 * which waits for orphans, and not libvirtd, which would not: the QEMUs that it tries would never be gone.
 */
const PRIVILEGED = `set -eu
folder=$1; shift
mkdir -p "$@"
for place; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /etc/libvirt/qemu
cp "$folder/qemu.conf" /etc/libvirt/
virtlogd --daemon --pid-file "$folder/virtlogd.pid"
libvirtd --config "$folder/libvirtd.conf" --pid-file "$folder/libvirtd.pid" &
wait $!`;

/** Starts one, as this user's kind: root's is the system's, another user's the session's. */
export async function startLibvirtd(): Promise<Libvirtd> {
  const folder = await mkdtemp(path.join(tmpdir(), 'np-lv-'));
  const { uri, argv, env } = process.getuid?.() === 0 ? await privileged(folder) : await session(folder);
  const [file = '', ...args] = argv;
  const daemon = execa(file, args, { reject: false, stdin: 'ignore', all: true, env, forceKillAfterDelay: 1000 });
  const stop = async () => {
    // A session's helpers are no children of the daemon.
    const helpers = await processesWithEnvironment('XDG_RUNTIME_DIR', path.join(folder, 'run'));
    daemon.kill('SIGKILL');
    await Promise.all(helpers.map((identity) => terminate(identity)));
    await daemon;
    await rm(folder, { recursive: true, force: true });
  };
  let ended: string | undefined;
  void daemon.then((result) => (ended = result.all));
  const answers = async () => (await execa('virsh', ['--connect', uri, 'version'], { reject: false })).exitCode === 0;
  if (await waitUntil(async () => ended !== undefined || (await answers()), START_MS)) {
    if (ended === undefined) return { uri, stop };
  }
  const log = await readFile(path.join(folder, 'libvirtd.log'), 'utf8').catch(() => '');
  await stop();
  throw new Error(`libvirtd did not start: ${ended ?? ''}\n${log.slice(-2000)}`);
}

interface Start {
  readonly uri: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function privileged(folder: string): Promise<Start> {
  await writeFile(path.join(folder, 'qemu.conf'), `${QEMU_CONF}${QEMU_USER}`);
  await writeFile(path.join(folder, 'libvirtd.conf'), daemonConf(folder));
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  return {
    uri: `qemu+unix:///system?socket=${folder}/libvirt-sock`,
    argv: ['unshare', ...namespaces, 'sh', '-c', PRIVILEGED, 'sh', folder, ...PLACES],
    env: {},
  };
}

async function session(folder: string): Promise<Start> {
  const config = path.join(folder, 'config', 'libvirt');
  await mkdir(config, { recursive: true });
  await mkdir(path.join(folder, 'run'), { mode: 0o700 });
  await writeFile(path.join(config, 'qemu.conf'), QEMU_CONF);
  await writeFile(path.join(folder, 'libvirtd.conf'), daemonConf(folder));
  const places = { CONFIG_HOME: 'config', CACHE_HOME: 'cache', DATA_HOME: 'data', RUNTIME_DIR: 'run' };
  return {
    uri: `qemu+unix:///session?socket=${folder}/libvirt-sock`,
    argv: ['libvirtd', '--config', path.join(folder, 'libvirtd.conf')],
    env: Object.fromEntries(Object.entries(places).map(([name, place]) => [`XDG_${name}`, path.join(folder, place)])),
  };
}

function daemonConf(folder: string): string {
  const lines = [
    `unix_sock_dir = "${folder}"`,
    'auth_unix_rw = "none"',
    'auth_unix_ro = "none"',
    `log_outputs = "3:file:${folder}/libvirtd.log"`,
  ];
  return `${lines.join('\n')}\n`;
}
