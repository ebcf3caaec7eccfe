import { AsyncLocalStorage } from 'node:async_hooks';
import path from 'node:path';

/**
 * Stops a step whose lease another worker has taken: the step checks its fence right before it
 * changes anything. A fence holds for everything that is called inside `insideFence`, however deep;
 * outside of one, everything passes.
 */
export interface Fence {
  /** Files below it are protected: they are made in `folder` and renamed out of it. */
  readonly root: string;
  /**
   * Exists as long as the step has its lease: a rename out of a folder that is gone fails, however
   * late it comes.
   */
  readonly folder: string;
  /** @throws NixproofError `INTERNAL_LEASE_LOST` */
  check(): Promise<void>;
}

const fences = new AsyncLocalStorage<Fence>();

export function insideFence<T>(fence: Fence, body: () => Promise<T>): Promise<T> {
  return fences.run(fence, body);
}

/** The fence that what runs now is inside of. */
export function currentFence(): Fence | undefined {
  return fences.getStore();
}

/** To be called right before anything that changes files, machines or guests. @throws NixproofError `INTERNAL_LEASE_LOST` */
export async function passFence(): Promise<void> {
  await fences.getStore()?.check();
}

/** Where the temporary file that becomes `file` is made. */
export function temporaryFolder(file: string): string {
  const fence = fences.getStore();
  return fence && file.startsWith(fence.root + path.sep) ? fence.folder : path.dirname(file);
}
