import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, NixproofError } from '../domain/error.js';
import type { Work } from '../domain/work.js';
import { readIfThere, sha256Of, writeJson, writeWhole } from '../host/files.js';
import { processesWithEnvironment, runCommand, terminate } from '../host/process.js';
import { requireDisk } from '../host/capacity.js';
import type { BaseManifest } from './base.js';
import { debianMirror } from './debian-mirror.js';
import { type DebianRecipe, fingerprintOf, mmdebstrapArguments } from './debian-recipe.js';
import { packagesIn } from './dpkg-status.js';

/** The tools of e2fsprogs are not on a normal user's PATH on Debian. */
const ENV = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
const INSTALL_HINT = 'install the tools: `apt-get install mmdebstrap e2fsprogs qemu-utils`';
/** The mark on every process of a build: the folder it works in. */
const COOKIE = 'NIXPROOF_BUILD';
/** The unpacked system, its tar and its image at the same time. */
const SCRATCH_BYTES = 3 * 1024 ** 3;
const IMAGE_BYTES = 1024 ** 3;

/** From the tar in $1 to kernel, initrd, package list and an ext4 image, run as (mapped) root so that owners are kept. */
const IMAGE_SCRIPT = `set -eu
cd "$1"
mkdir root
tar -x -p --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -f root.tar -C root
rm root.tar
cp root/boot/vmlinuz-* vmlinuz
cp root/boot/initrd.img-* initrd
cp root/var/lib/dpkg/status packages
truncate -s "$2" root.ext4
mkfs.ext4 -q -F -L nixproof -N 400000 -E lazy_itable_init=0,lazy_journal_init=1,nodiscard -d root root.ext4
chmod 644 vmlinuz initrd packages root.ext4
rm -rf root`;

/**
 * Builds the Debian live guest into an existing empty folder: `disk.qcow2`, `vmlinuz`, `initrd`, `manifest.json`. As root or as
 * a normal user, who then needs user namespaces.
 */
export async function buildDebian(recipe: DebianRecipe, into: string, work: Work): Promise<void> {
  await requireDisk(into, IMAGE_BYTES, 'the image of the debian base');
  const scratch = await openScratch(path.join(path.dirname(into), `${fingerprintOf(recipe)}.scratch`));
  try {
    await requireDisk(scratch.folder, SCRATCH_BYTES, 'building the debian base');
    const tar = path.join(scratch.folder, 'root.tar');
    await bootstrap(recipe, tar, scratch.folder, work);
    work.progress('making the disk image (2 of 3)');
    await asRoot(['sh', '-c', IMAGE_SCRIPT, 'sh', scratch.folder, String(recipe.diskBytes)], work);
    const image = path.join(scratch.folder, 'root.ext4');
    await run('qemu-img', ['convert', '-O', 'qcow2', image, path.join(into, 'disk.qcow2')], work);
    for (const name of ['vmlinuz', 'initrd']) await cp(path.join(scratch.folder, name), path.join(into, name));
    work.progress('writing the manifest (3 of 3)');
    const status = await readFile(path.join(scratch.folder, 'packages'), 'utf8');
    await writeJson(path.join(into, 'manifest.json'), await manifestOf(recipe, into, packagesIn(status), work));
  } finally {
    await scratch.close();
  }
}

async function bootstrap(recipe: DebianRecipe, tar: string, scratch: string, work: Work): Promise<void> {
  if (!isRoot()) await requireUserNamespaces(work);
  work.progress(`building Debian ${recipe.suite} with mmdebstrap (1 of 3)`);
  await runCommand('mmdebstrap', mmdebstrapArguments(recipe, tar, await debianMirror()), {
    env: { ...ENV, TMPDIR: scratch, [COOKIE]: path.dirname(scratch) },
    signal: work.signal,
    group: true,
    code: 'HOST_BASE_BUILD_FAILED',
    hint: INSTALL_HINT,
    onLine: (line) => {
      const stage = /^I: (\w+ing [^/]*)\.\.\.$/.exec(line)?.[1];
      if (stage !== undefined) work.progress(`mmdebstrap: ${stage} (1 of 3)`);
    },
  });
}

/** Ends what a killed build left running. */
async function endBuilders(scratchParent: string): Promise<void> {
  const builders = await processesWithEnvironment(COOKIE, scratchParent);
  await Promise.all(builders.map((builder) => terminate(builder, 3000)));
}

/** mmdebstrap's own way into a user namespace with a range of user ids: what its unshare mode needs. */
async function requireUserNamespaces(work: Work): Promise<void> {
  try {
    await run('mmdebstrap', ['--unshare-helper', 'true'], work);
  } catch (error) {
    if (hasCode(error, 'HOST_TOOL_MISSING')) throw error;
    work.signal.throwIfAborted();
    throw new NixproofError(
      'HOST_USER_NAMESPACES',
      'building the debian base as a normal user needs user namespaces, and they do not work here',
      {
        hint: 'install uidmap (newuidmap) and give yourself ids: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`; or run `nixproof setup` as root once',
        cause: error,
      },
    );
  }
}

async function asRoot(argv: readonly string[], work: Pick<Work, 'signal'>): Promise<void> {
  const [file = '', ...args] = isRoot() ? argv : ['mmdebstrap', '--unshare-helper', ...argv];
  await run(file, args, work);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function run(file: string, args: readonly string[], { signal }: Pick<Work, 'signal'>): Promise<string> {
  return runCommand(file, args, { env: ENV, signal, code: 'HOST_BASE_BUILD_FAILED', hint: INSTALL_HINT });
}

interface Scratch {
  readonly folder: string;
  close(): Promise<void>;
}

/**
 * A folder that mapped user ids may write to, on a disk rather than in memory. Other users cannot
 * guess its name, nor list it.
 * @param kept the file that names it, so that the next build removes what a killed one left behind
 */
async function openScratch(kept: string): Promise<Scratch> {
  const close = async () => {
    const parent = await readIfThere(kept);
    if (parent !== undefined) await removeScratch(parent);
    await rm(kept, { force: true });
  };
  await close();
  const parent = `/var/tmp/nixproof-build-${randomName()}`;
  const folder = path.join(parent, randomName());
  await writeWhole(kept, parent);
  // Whatever the umask: mapped ids pass through one, and write to the other.
  await mkdir(parent, { mode: 0o700 });
  await mkdir(folder, { mode: 0o700 });
  if (!isRoot()) {
    await chmod(folder, 0o777);
    await chmod(parent, 0o711);
  }
  return { folder, close };
}

function randomName(): string {
  return randomBytes(16).toString('hex');
}

const UNSTOPPABLE = { signal: new AbortController().signal };

async function removeScratch(parent: string): Promise<void> {
  await endBuilders(parent);
  await unmountBelow(parent);
  // What mapped ids own, only they may remove; the folders themselves are ours.
  const folders = (await readdir(parent).catch(() => [])).map((name) => path.join(parent, name));
  if (folders.length > 0 && !isRoot()) await asRoot(['rm', '-rf', ...folders], UNSTOPPABLE).catch(() => undefined);
  await rm(parent, { recursive: true, force: true });
}

/**
 * A build as root that was killed leaves this host's /dev/shm, /proc and /sys mounted in its root:
 * its removal would empty them.
 */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readIfThere('/proc/self/mounts')) ?? '';
  const below = mounts.split('\n').flatMap((line) => line.split(' ')[1] ?? []);
  // The last mounted is on top.
  for (const place of below.filter((mounted) => mounted.startsWith(`${folder}/`)).reverse()) {
    await run('umount', [place], UNSTOPPABLE);
  }
}

async function manifestOf(
  recipe: DebianRecipe,
  folder: string,
  packages: Record<string, string>,
  work: Work,
): Promise<BaseManifest> {
  const files: Record<string, { sha256: string; bytes: number }> = {};
  for (const name of ['disk.qcow2', 'vmlinuz', 'initrd']) {
    const file = path.join(folder, name);
    files[name] = { sha256: await sha256Of(file), bytes: (await stat(file)).size };
  }
  const firstLine = async (tool: string) => (await run(tool, ['--version'], work)).split('\n')[0] ?? '';
  return {
    name: 'debian',
    fingerprint: fingerprintOf(recipe),
    createdAt: new Date().toISOString(),
    recipe,
    files,
    packages,
    builder: { mmdebstrap: await firstLine('mmdebstrap'), 'qemu-img': await firstLine('qemu-img') },
  };
}
