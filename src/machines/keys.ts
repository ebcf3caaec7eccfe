import { readFile } from 'node:fs/promises';
import path from 'node:path';
import ssh2 from 'ssh2';
import { passFence } from '../host/fence.js';
import { makeFolder, readIfThere, writeWhole } from '../host/files.js';
import { withLock } from '../host/lock.js';

export interface KeyPair {
  /** Path of the private key, OpenSSH's format, mode 600. */
  readonly keyFile: string;
  /** One authorized_keys line. */
  readonly publicKey: string;
}

/**
 * An ed25519 key pair kept at `keyFile` and `keyFile.pub`, made where there is none. Safe against two makers at once: the
 * public half is derived from the private one that was written first.
 */
export async function keyPairAt(keyFile: string, comment: string): Promise<KeyPair> {
  if ((await readIfThere(keyFile)) === undefined) {
    await passFence();
    await makeFolder(path.dirname(keyFile));
    await withLock(`${keyFile}.lock`, {}, async () => {
      if ((await readIfThere(keyFile)) !== undefined) return;
      const made = soundKeyPair(comment);
      await writeWhole(`${keyFile}.pub`, `${made.public}\n`);
      await writeWhole(keyFile, made.private, 0o600);
    });
  }
  return readKeyPair(keyFile, comment);
}

/** The pair that was made there. @throws Error `ENOENT` where there is none */
export async function readKeyPair(keyFile: string, comment: string): Promise<KeyPair> {
  const parsed = ssh2.utils.parseKey(await readFile(keyFile));
  if (parsed instanceof Error) throw parsed;
  return { keyFile, publicKey: `${parsed.type} ${parsed.getPublicSSH().toString('base64')} ${comment}` };
}

/** One key in 256 comes out of ssh2 1.17 too short, its leading zero cut off, and can be read by nobody (mscdex/ssh2#1513). */
function soundKeyPair(comment: string): { readonly private: string; readonly public: string } {
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync('ed25519', { comment });
    const halves = [made.private, made.public].map((half) => ssh2.utils.parseKey(half));
    if (!halves.some((half) => half instanceof Error)) return made;
  }
}
