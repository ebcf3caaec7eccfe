import { stat } from 'node:fs/promises';
import { NixproofError } from '../../domain/error.js';
import { readJson } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { findKey, ownKeyFile, sealingKey, type SealingKey } from '../../temporal/key.js';
import type { LastStart } from '../server/server-process.js';
import { stackFiles } from '../stack-files.js';

/** Whether the local server has ever run, and its database is still there. */
export async function hasDatabase(layout: Layout): Promise<boolean> {
  return (await stat(stackFiles(layout).database).catch(() => undefined)) !== undefined;
}

/**
 * The key for this home's local server, made where neither is there yet.
 * @throws NixproofError as `findStackKey`
 */
export async function stackKey(layout: Layout): Promise<SealingKey> {
  return (await findStackKey(layout)) ?? sealingKey(layout);
}

/**
 * The key for this home's local server. Where that has a database, it is the one which that is sealed
 * with: with another, nothing in it could be read, and its schedules and open runs would stand still.
 * @throws NixproofError `SERVER_KEY_DIFFERS` where that key is not here, `CONFIG_KEY_FILE`
 */
export async function findStackKey(layout: Layout): Promise<SealingKey | undefined> {
  const files = stackFiles(layout);
  const key = await findKey(layout);
  const used = (await hasDatabase(layout)) ? (await readJson<Partial<LastStart>>(files.last))?.key : undefined;
  if (used === undefined || key?.id === used) return key;
  const own = ownKeyFile(layout);
  const there = key ? `${key.file} has key ${key.id}` : `there is no ${own}`;
  throw new NixproofError(
    'SERVER_KEY_DIFFERS',
    `this home's Temporal server is sealed with key ${used}, and ${there}`,
    {
      hint: `name the file with key ${used} in NIXPROOF_KEY_FILE, or put it back to ${own}; if it is lost: \`rm ${files.database}*\` while no nixproof runs; its schedules and open runs are lost then, runs that have ended stay on record`,
      details: { key: used, ...(key ? { file: key.file, found: key.id } : {}) },
    },
  );
}
