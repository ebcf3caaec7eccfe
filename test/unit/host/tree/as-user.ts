import { chown } from 'node:fs/promises';

/** A user who owns nothing. */
export const NOBODY = 65534;

/** Runs a body as a user without root's rights; root gives its rights up meanwhile. Only for calls of this process. */
export async function asUser<T>(body: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return body();
  process.seteuid?.(NOBODY);
  try {
    return await body();
  } finally {
    process.seteuid?.(0);
  }
}

/** Gives a file or folder to that user, where this one is root. */
export async function giveAway(place: string): Promise<void> {
  if (process.geteuid?.() === 0) await chown(place, NOBODY, NOBODY);
}
