import { z } from 'zod';
import { expected } from './messages.js';
import { NixproofError } from '../domain/error.js';
import { absolutePath } from './paths.js';

const BASE_EXPECTED = 'nixos, debian, disk:PATH or iso:PATH_OR_URL#SHA256 (the hash only a URL must have)';

const error = expected(BASE_EXPECTED, { known: ['nixos', 'debian'] });
const URL_SCHEME = /^https?:\/\//;
const SHA256 = /#[0-9a-fA-F]{64}$/;

/** What a machine boots. An image from the network must be pinned by its hash. */
export const base = z
  .string({ error })
  .regex(/^(nixos|debian|disk:.+|iso:.+)$/, { error })
  .refine((name) => !URL_SCHEME.test(name.replace(/^iso:/, '')) || SHA256.test(name), {
    error: 'expected the SHA-256 of the image after its URL: iso:URL#SHA256',
  });

/** What `--base` says, its path made absolute. @throws NixproofError `CONFIG_FLAG` */
export function baseOfFlag(written: string, cwd: string): string {
  const result = base.safeParse(written);
  if (result.success) return absoluteBase(result.data, cwd);
  throw new NixproofError('CONFIG_FLAG', `--base: ${result.error.issues[0]?.message ?? 'not a base'}`, {
    hint: 'see docs/bases.md for what a machine can boot',
    details: { flag: '--base' },
  });
}

/** A base with the path in it made absolute, starting from a folder. */
export function absoluteBase(name: string, folder: string): string {
  const match = /^(disk|iso):(.*)$/.exec(name);
  const kind = match?.[1];
  const place = match?.[2];
  if (kind === undefined || place === undefined || URL_SCHEME.test(place)) return name;
  const hash = kind === 'iso' ? (SHA256.exec(place)?.[0] ?? '') : '';
  return `${kind}:${absolutePath(folder, place.slice(0, place.length - hash.length))}${hash}`;
}
