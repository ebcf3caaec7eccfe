import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianMirror } from '../../src/bases/debian-mirror.js';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import { withLock } from '../../src/host/lock.js';
import { cacheDirectory } from '../../src/host/paths.js';
import { runCommand } from '../../src/host/process.js';
import type { DriverProbe } from '../../src/machines/machine.js';

const SCRIPT = fileURLToPath(new URL('../fixtures/live-iso/build.sh', import.meta.url));
const TOOLS = ['mmdebstrap', 'sqfstar', 'grub-mkrescue', 'xorriso', 'mformat'];
const LOADERS = ['/usr/lib/grub/i386-pc', '/usr/lib/grub/x86_64-efi'];

/** A distribution's live system on a CD, in two kinds: one takes root's key from the machine's hardware, one does not. */
export interface LiveIso {
  readonly credential: string;
  readonly keyboard: string;
}

/** Whether this host can build one. */
export async function probeLiveIso(): Promise<DriverProbe> {
  try {
    for (const tool of TOOLS) await runCommand('sh', ['-c', 'command -v "$1"', 'sh', tool]);
    await Promise.all(LOADERS.map((folder) => access(folder)));
    return { available: true, detail: SCRIPT };
  } catch (error) {
    const message = `needs ${TOOLS.join(', ')} and GRUB for BIOS and UEFI (${messageOf(error)})`;
    return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', message) };
  }
}

/** Builds it once for each content of the script, into the cache. */
export async function liveIso(): Promise<LiveIso> {
  const hash = createHash('sha256')
    .update(await readFile(SCRIPT))
    .digest('hex')
    .slice(0, 16);
  const folder = path.join(cacheDirectory(), 'test', 'live-iso', hash);
  await mkdir(path.dirname(folder), { recursive: true });
  await withLock(`${folder}.lock`, {}, async () => {
    const there = await access(folder).then(
      () => true,
      () => false,
    );
    if (there) return;
    const making = `${folder}.making`;
    await rm(making, { recursive: true, force: true });
    await mkdir(making);
    const mirror = await debianMirror();
    await runCommand('sh', [SCRIPT, making, ...(mirror === undefined ? [] : [mirror])]);
    await rename(making, folder);
  });
  return { credential: path.join(folder, 'credential.iso'), keyboard: path.join(folder, 'keyboard.iso') };
}
