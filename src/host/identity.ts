import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import path from 'node:path';
import { makeFolder, readIfThere, writeWhole } from './files.js';
import { withLock } from './lock.js';
import type { Layout } from './paths.js';

/** The name of this host's task queue: the host's name and a random part, kept in the home, which is what makes a host one. */
export async function hostIdentity(layout: Layout): Promise<string> {
  const file = path.join(layout.home, 'host-id');
  const known = await readIfThere(file);
  if (known) return known.trim();
  await makeFolder(layout.home);
  return withLock(`${file}.lock`, {}, async () => {
    const meanwhile = await readIfThere(file);
    if (meanwhile) return meanwhile.trim();
    const id = `${hostname()
      .replace(/[^\w.-]/g, '')
      .slice(0, 40)}-${randomBytes(3).toString('hex')}`;
    await writeWhole(file, `${id}\n`);
    return id;
  });
}
