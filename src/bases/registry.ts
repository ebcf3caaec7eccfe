import { NixproofError } from '../domain/error.js';
import { cacheDirectory, type Layout } from '../host/paths.js';
import type { Base } from './base.js';
import { debianBase } from './debian.js';
import { NIXOS_ISO, pinnedIsoBase, publishedIsoBase } from './downloaded-iso.js';
import { localImageBase } from './local-image.js';

/** Every base that has a name. */
const BASES: Readonly<Record<string, (layout: Layout, cache: string) => Base>> = {
  debian: debianBase,
  nixos: (layout, cache) => publishedIsoBase(NIXOS_ISO, layout, cache),
};

export const BASE_NAMES: readonly string[] = Object.keys(BASES);

/** `disk:PATH`, `iso:PATH`, `iso:PATH_OR_URL#SHA256`. */
const IMAGE = /^(iso|disk):(.+?)(?:#([0-9a-fA-F]{64}))?$/;

/**
 * The base of a name. Paths in it are absolute.
 * @throws NixproofError `UNSUPPORTED_BASE` where there is none
 */
export function baseFor(name: string, layout: Layout, cache = cacheDirectory()): Base {
  const make = Object.hasOwn(BASES, name) ? BASES[name] : undefined;
  const base = make ? make(layout, cache) : imageBase(name, layout, cache);
  if (base) return base;
  const known = [...Object.keys(BASES), 'disk:PATH', 'iso:PATH_OR_URL#SHA256'];
  throw new NixproofError('UNSUPPORTED_BASE', `there is no base named ${name}`, {
    hint: `use one of: ${known.join(', ')}`,
    details: { base: name, known },
  });
}

function imageBase(name: string, layout: Layout, cache: string): Base | undefined {
  const [, kind, place, sha256] = IMAGE.exec(name) ?? [];
  if (kind === undefined || place === undefined) return undefined;
  if (kind === 'disk') return localImageBase({ kind, path: name.slice('disk:'.length), sha256: undefined }, cache);
  if (!/^https?:\/\//.test(place)) return localImageBase({ kind: 'iso', path: place, sha256 }, cache);
  return sha256 === undefined ? undefined : pinnedIsoBase({ url: place, sha256 }, layout, cache);
}
