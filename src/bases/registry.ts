import { NixproofError } from '../domain/error.js';
import type { Layout } from '../host/paths.js';
import type { Base } from './base.js';
import { debianBase } from './debian.js';

/** Every base there is, by its name. */
const BASES: Readonly<Record<string, (layout: Layout) => Base>> = {
  debian: (layout) => debianBase(layout),
};

/** Names and forms that the configuration knows and this version cannot make yet. */
const PLANNED = /^(nixos$|iso:|disk:)/;

/**
 * The base of a name.
 * @throws NixproofError `UNSUPPORTED_BASE` where there is none
 */
export function baseFor(name: string, layout: Layout): Base {
  const make = Object.hasOwn(BASES, name) ? BASES[name] : undefined;
  if (make) return make(layout);
  const known = Object.keys(BASES).join(', ');
  const message = PLANNED.test(name)
    ? `the base ${name} is not supported by this version yet`
    : `there is no base named ${name}`;
  throw new NixproofError('UNSUPPORTED_BASE', message, {
    hint: `use one of: ${known}`,
    details: { base: name, known: Object.keys(BASES) },
  });
}
