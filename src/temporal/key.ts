import { createHash, randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { makeFolder, readIfThere, writeWhole } from '../host/files.js';
import { withLock } from '../host/lock.js';
import type { Layout } from '../host/paths.js';

/** The secret with which clients and workers seal what they send through a Temporal server. */
export interface SealingKey {
  readonly secret: Buffer;
  /** Tells keys apart, and is no secret: 8 hexadecimal digits. */
  readonly id: string;
  /** Where it is kept. */
  readonly file: string;
}

const SECRET_BYTES = 32;
/** In a folder's mode. */
const ALL_MAY_WRITE = 0o002;
/** What a key's file may not let others do: read and write for all, write for its group. */
const OTHERS = 0o026;
/** `base64` of the secret. */
const FORMAT = /^[A-Za-z0-9+/]{43}=$/;

/**
 * The key in the file that `NIXPROOF_KEY_FILE` names, for workers and clients on several hosts;
 * else this home's own; undefined where that is not there.
 * @throws NixproofError `CONFIG_KEY_FILE`
 */
export async function findKey(layout: Layout, env: NodeJS.ProcessEnv = process.env): Promise<SealingKey | undefined> {
  const shared = env['NIXPROOF_KEY_FILE'];
  if (shared) return keyIn(path.resolve(shared));
  await requireSafeFolders(layout);
  const file = ownKeyFile(layout);
  return (await readIfThere(file)) === undefined ? undefined : keyIn(file);
}

/**
 * The same; this home's own is made where there is none.
 * @throws NixproofError `CONFIG_KEY_FILE`
 */
export async function sealingKey(layout: Layout, env?: NodeJS.ProcessEnv): Promise<SealingKey> {
  const found = await findKey(layout, env);
  if (found) return found;
  const file = ownKeyFile(layout);
  await makeFolder(layout.keys);
  await withLock(`${file}.lock`, {}, async () => {
    if ((await readIfThere(file)) !== undefined) return;
    await writeWhole(file, `${randomBytes(SECRET_BYTES).toString('base64')}\n`, 0o600);
  });
  return keyIn(file);
}

/** Where the home's own key is, or would be. */
export function ownKeyFile(layout: Layout): string {
  return path.join(layout.keys, 'sealing.key');
}

async function keyIn(file: string): Promise<SealingKey> {
  const stats = await stat(file).catch(() => undefined);
  if (!stats) throw unusable(file, 'there is no such file');
  if (!stats.isFile()) throw unusable(file, 'it is no file');
  if ((stats.mode & OTHERS) !== 0) {
    throw new NixproofError('CONFIG_KEY_FILE', `${file} is open to other users of this host`, {
      hint: `anyone who has it can run commands as you: \`chmod 600 ${file}\`, and make another key if they may have read it`,
      details: { file },
    });
  }
  const user = process.getuid?.();
  if (user !== undefined && stats.uid !== user && stats.uid !== 0) {
    throw unusable(file, `it is another user’s (uid ${stats.uid}), who knows it and can change it`);
  }
  const text = (await readIfThere(file))?.trim() ?? '';
  if (!FORMAT.test(text)) throw unusable(file, 'it holds no 32 bytes in base64');
  const secret = Buffer.from(text, 'base64');
  const id = createHash('sha256').update('nixproof key id').update(secret).digest('hex').slice(0, 8);
  return { secret, id, file };
}

async function requireSafeFolders(layout: Layout): Promise<void> {
  for (const folder of [layout.home, layout.keys]) {
    const { mode = 0 } = (await stat(folder).catch(() => undefined)) ?? {};
    if ((mode & ALL_MAY_WRITE) === 0) continue;
    throw new NixproofError('CONFIG_KEY_FILE', `anyone on this host can replace what is in ${folder}, the key too`, {
      hint: `\`chmod o-w ${folder}\`, and remove keys/sealing.key there if somebody may have put theirs in its place`,
      details: { file: ownKeyFile(layout) },
    });
  }
}

function unusable(file: string, why: string): NixproofError {
  return new NixproofError('CONFIG_KEY_FILE', `${file} is no sealing key: ${why}`, {
    hint: 'copy keys/sealing.key from the home of a client or worker that uses the same Temporal server, or unset NIXPROOF_KEY_FILE',
    details: { file },
  });
}
