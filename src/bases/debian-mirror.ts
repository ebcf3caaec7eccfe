import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

/** `URIs: …` of deb822 sources and `deb … URI suite` of one-line sources (sources.list(5)). */
const SOURCE_URI = /^(?:URIs:|deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+)/gm;

/**
 * The Debian mirror this host's own apt uses, found in the texts of its sources: an address whose path is `/debian`.
 * Undefined where there is none, as on other distributions.
 */
export function debianMirrorIn(sources: readonly string[]): string | undefined {
  for (const text of sources) {
    for (const [, uri] of text.matchAll(SOURCE_URI)) {
      if (uri !== undefined && /^https?:\/\/[^/]+(?:\/.*)?\/debian\/?$/.test(uri)) return uri;
    }
  }
  return undefined;
}

/** Where packages come from: `$NIXPROOF_DEBIAN_MIRROR`, else the host's own mirror, else (undefined) mmdebstrap's choice. */
export async function debianMirror(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  if (env['NIXPROOF_DEBIAN_MIRROR']) return env['NIXPROOF_DEBIAN_MIRROR'];
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const files = [
    '/etc/apt/sources.list',
    ...names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => path.join(folder, name)),
  ];
  return debianMirrorIn(await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => ''))));
}
