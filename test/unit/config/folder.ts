import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { NixproofError } from '../../../src/domain/error.js';

/** A temporary folder with these files (executable where the name ends in `.sh` or is `nix`), gone after the test. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-config-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
    if (/(\.sh|^nix)$/.test(name)) await chmod(file, 0o755);
  }
  return folder;
}

/** The fault a promise ends with. */
export async function faultOf(work: Promise<unknown>): Promise<NixproofError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof NixproofError) return error;
  throw new Error('expected a NixproofError', { cause: error });
}
