import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { layoutOf, type Layout } from '../src/host/paths.js';
import { benchKey } from '../src/machines/login.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A home whose bases, templates and login are those of all machine tests of this run. */
    readonly sharedHome: string;
  }
}

/** Before the first machine test of a run and after the last one. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-shared-'));
  await mkdir(layoutOf(home).bases);
  await benchKey(layoutOf(home));
  provide('sharedHome', home);
  return () => rm(home, { recursive: true, force: true });
}

/**
 * Gives a home that has no bases yet the shared ones: a template is frozen once for each shape,
 * from a boot that takes a minute of processor, and not once for each test file.
 * @param sharedHome what vitest provides as `sharedHome`
 */
export async function shareBases(home: string, sharedHome: string): Promise<Layout> {
  await mkdir(home, { recursive: true });
  await symlink(path.join(sharedHome, 'bases'), path.join(home, 'bases'));
  await symlink(path.join(sharedHome, 'ssh'), path.join(home, 'ssh'));
  return layoutOf(home);
}
