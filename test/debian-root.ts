import { createHash } from 'node:crypto';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianMirror } from '../src/bases/debian-mirror.js';
import { withLock } from '../src/host/lock.js';
import { cacheDirectory } from '../src/host/paths.js';
import { runCommand } from '../src/host/process.js';

/** The Debian releases beside this host's own whose tools the tests can use. */
export const DEBIAN_SUITES = ['trixie', 'forky'] as const;
export type DebianSuite = (typeof DEBIAN_SUITES)[number];

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** What nixproof uses of a host, with the libraries that Node links to. */
const PACKAGES = [
  ...[
    'ca-certificates',
    'curl',
    'e2fsprogs',
    'fdisk',
    'git',
    'gdisk',
    'iproute2',
    'libstdc++6',
    'libatomic1',
    'mount',
    'patch',
  ],
  ...['openssh-client', 'procps', 'python3-minimal', 'tar', 'util-linux', 'xz-utils'],
  ...['ovmf', 'qemu-system-x86', 'qemu-utils'],
  ...[
    'libvirt-clients',
    'libvirt-daemon',
    'libvirt-daemon-driver-qemu',
    'libvirt-daemon-driver-network',
    'libvirt-daemon-log',
    'dnsmasq-base',
  ],
];
const WITHOUT = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*'];
const MIRROR_HINT = 'name a mirror in NIXPROOF_DEBIAN_MIRROR';

/**
 * The root folder of another Debian, from the user's cache, or built there with mmdebstrap: two
 * minutes, 1 GB. Root only.
 * @throws NixproofError `HOST_TOOL_MISSING`, `HOST_BASE_BUILD_FAILED`
 */
export async function debianRoot(suite: DebianSuite): Promise<string> {
  const recipe = createHash('sha256')
    .update(JSON.stringify([suite, PACKAGES, WITHOUT]))
    .digest('hex')
    .slice(0, 16);
  const folder = path.join(cacheDirectory(), 'test-roots', `${suite}-${recipe}`);
  await withLock(`${folder}.lock`, {}, async () => {
    if (!(await isThere(folder))) await build(suite, folder);
  });
  return folder;
}

async function build(suite: DebianSuite, folder: string): Promise<void> {
  const making = `${folder}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(path.dirname(making), { recursive: true });
  const mirror = await debianMirror();
  await runCommand(
    'unshare',
    [
      // What it mounts goes with it, also where it is killed.
      ...['--mount', 'mmdebstrap'],
      ...['--mode=root', '--variant=minbase', '--format=directory', '--aptopt=Apt::Install-Recommends "false"'],
      // A mirror may be a snapshot, and a testing release's index is valid for a week.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      ...WITHOUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      ...[`--include=${PACKAGES.join(',')}`, suite, making],
      ...(mirror === undefined ? [] : [`deb ${mirror} ${suite} main`]),
    ],
    { code: 'HOST_BASE_BUILD_FAILED', hint: MIRROR_HINT },
  );
  await rename(making, folder);
}

/**
 * The command that runs another one inside such a root folder, in the same working directory: /tmp,
 * the cache, this checkout, this Node and `folders` are where they are outside, and so are
 * processes and the network.
 */
export function insideRoot(root: string, folders: readonly string[] = []): readonly string[] {
  // The root folder is in the cache: what is mounted in it before the cache would be mounted twice.
  const shared = [cacheDirectory(), CHECKOUT, process.execPath, ...folders, '/tmp', '/sys', '/proc', '/dev'];
  return ['unshare', '--mount', 'sh', '-c', ENTER, root, String(shared.length), ...shared];
}

/**
 * $0 is the root folder, $1 the number of shared places; they and the command follow. The folder
 * becomes a mount, for what sets the propagation of its root, as unshare does.
 */
const ENTER = `set -eu
mount --bind "$0" "$0"
left=$1; shift
while [ "$left" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$0$1"; else mkdir -p "$0\${1%/*}"; [ -e "$0$1" ] || : >"$0$1"; fi
  mount --rbind "$1" "$0$1"
  shift; left=$((left - 1))
done
exec chroot "$0" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"`;

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
