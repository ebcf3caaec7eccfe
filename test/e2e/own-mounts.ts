import { execa } from 'execa';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import type { DriverProbe } from '../../src/machines/machine.js';

/** A mount namespace: what is mounted there is seen by nobody else, and gone when everything in it has ended. */
export interface OwnMounts extends AsyncDisposable {
  /** The command that runs another one inside. */
  readonly inside: readonly string[];
  /** Where a path of the inside is seen from here. */
  seen(file: string): string;
  /** Puts a disk in memory over a folder. */
  mountSmall(folder: string, mebibytes: number): Promise<void>;
}

/** Whether there can be one: it takes root and util-linux. */
export async function probeMounts(): Promise<DriverProbe> {
  try {
    await using mounts = await ownMounts();
    await mounts.mountSmall('/mnt', 1);
    return { available: true, detail: 'mount namespaces' };
  } catch (error) {
    return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', messageOf(error)) };
  }
}

export async function ownMounts(): Promise<OwnMounts> {
  const script = 'echo inside; exec sleep infinity';
  const holder = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(holder, 'close');
  process.once('exit', () => holder.kill('SIGKILL'));
  const ready = once(holder.stdout, 'data');
  await Promise.race([ready, ended.then(() => Promise.reject(new Error('unshare: no mount namespace')))]);
  const pid = String(holder.pid);
  // Whoever goes in stands at the root then.
  const back = `exec nsenter --target ${pid} --mount sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"`;
  const inside = ['sh', '-c', back, 'sh'];
  return {
    inside,
    seen: (file) => path.join('/proc', pid, 'root', file),
    async mountSmall(folder, mebibytes) {
      const mount = ['mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder];
      await execa(inside[0] ?? '', [...inside.slice(1), ...mount]);
    },
    async [Symbol.asyncDispose]() {
      holder.kill('SIGKILL');
      await ended;
    },
  };
}
