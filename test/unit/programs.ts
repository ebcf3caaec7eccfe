import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished, vi } from 'vitest';

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-unit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes shell scripts the only programs on PATH, beside those of `keep`; the caches are empty. */
export async function onlyPrograms(scripts: Readonly<Record<string, string>>, keep = ''): Promise<void> {
  const folder = await temporaryFolder();
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(path.join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(bin, name), 0o755);
  }
  vi.stubEnv('PATH', keep === '' ? bin : `${bin}:${keep}`);
  vi.stubEnv('XDG_CACHE_HOME', path.join(folder, 'cache'));
  onTestFinished(() => void vi.unstubAllEnvs());
}
