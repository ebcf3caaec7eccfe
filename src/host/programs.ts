import { access, constants } from 'node:fs/promises';
import path from 'node:path';

/**
 * Where this host's own programs are found: the PATH of this process, without what is relative to a
 * working folder.
 */
export function hostPath(env: NodeJS.ProcessEnv = process.env): string {
  return foldersOf(env).join(path.delimiter);
}

/** Absolute path of a program on this host's own PATH; undefined if it is not there. */
export async function findProgram(name: string, env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  for (const folder of foldersOf(env)) {
    const file = path.join(folder, name);
    const runs = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return file;
  }
  return undefined;
}

function foldersOf(env: NodeJS.ProcessEnv): readonly string[] {
  return (env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
}
