import { access, constants, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError, messageOf } from '../domain/error.js';

/** Makes the folder of a file that an option names. @throws NixproofError `CONFIG_FLAG` where the file could not be written */
export async function requireFileTarget(option: string, file: string): Promise<void> {
  await required(option, file, async () => {
    await writable(path.dirname(file));
    const there = await stat(path.resolve(file)).catch(() => undefined);
    if (there?.isFile() === false) throw new Error(there.isDirectory() ? 'it is a folder' : 'it is no plain file');
  });
}

/** Makes a folder that an option names. @throws NixproofError `CONFIG_FLAG` where nothing could be written there */
export async function requireFolderTarget(option: string, folder: string): Promise<void> {
  await required(option, folder, () => writable(folder));
}

async function writable(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await access(folder, constants.W_OK | constants.X_OK);
}

async function required(option: string, target: string, look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (error) {
    throw new NixproofError('CONFIG_FLAG', `${option}: cannot write to ${target}: ${messageOf(error)}`, {
      hint: `name another place with ${option}`,
      details: { flag: option },
      cause: error,
    });
  }
}
