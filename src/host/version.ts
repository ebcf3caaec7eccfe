import { readFileSync } from 'node:fs';

/** This package's version. */
export const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

/**
 * The version and the beginning of the SHA-256 of what was built (scripts/build.mjs), such as
 * `0.1.0+3f9a27c41b02`: two checkouts of
 * one version differ in it.
 */
export const build = `${version}+${builtFrom().slice(0, 12)}`;

function builtFrom(): string {
  try {
    return readFileSync(new URL('../../dist/.fingerprint', import.meta.url), 'utf8');
  } catch {
    return 'unbuilt';
  }
}
