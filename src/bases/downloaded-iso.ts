import { rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, NixproofError } from '../domain/error.js';
import type { Work } from '../domain/work.js';
import { readJson, sha256Of, writeJson } from '../host/files.js';
import { cacheDirectory, type Layout } from '../host/paths.js';
import type { Base, BaseImage, BaseManifest } from './base.js';
import { download, fetchText } from './download.js';
import { makeShared } from './shared.js';
import { isFinished, MANIFEST } from './store.js';

const IMAGE = 'image.iso';

/** An ISO on the network, pinned by its content. */
export interface PinnedIso {
  readonly url: string;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** An ISO that a distribution publishes anew under one address, with its sum beside it as `URL.sha256`. */
export interface PublishedIso {
  readonly name: string;
  readonly url: string;
}

export const NIXOS_ISO: PublishedIso = {
  name: 'nixos',
  url: 'https://channels.nixos.org/nixos-25.05/latest-nixos-minimal-x86_64-linux.iso',
};

/** An ISO from the network: got once, verified, kept in the cache by its content and linked into the home. */
export function pinnedIsoBase(iso: PinnedIso, layout: Layout, cache = cacheDirectory()): Base {
  return {
    name: `iso:${iso.url}#${iso.sha256}`,
    find: () => findIso('iso', iso, layout),
    prepare: (work) => prepareIso('iso', iso, layout, cache, work),
  };
}

/** What a published address meant when this home first asked: from then on the same, until the bases are cleaned up. */
interface Pin extends PinnedIso {
  /** The address that was asked. */
  readonly asked: string;
  readonly resolvedAt: string;
}

/** The newest ISO of a distribution, as it was when this home first asked for it. */
export function publishedIsoBase(recipe: PublishedIso, layout: Layout, cache = cacheDirectory()): Base {
  const file = path.join(layout.bases, recipe.name, 'pinned.json');
  const pinned = async () => {
    const pin = await readJson<Pin>(file);
    return pin?.asked === recipe.url ? pin : undefined;
  };
  return {
    name: recipe.name,
    async find() {
      const pin = await pinned();
      return pin && findIso(recipe.name, pin, layout);
    },
    async prepare(work) {
      const pin = (await pinned()) ?? (await resolve(recipe, work));
      await writeJson(file, pin);
      try {
        return await prepareIso(recipe.name, pin, layout, cache, work);
      } catch (error) {
        // The publisher may have been half-way through a new release: the next try asks again.
        if (hasCode(error, 'HOST_DOWNLOAD_SUM')) await rm(file, { force: true });
        throw error;
      }
    },
  };
}

/** Where the address leads today, and the sum published there (sha256sum(1): `SUM  NAME`). */
async function resolve({ name, url }: PublishedIso, work: Work): Promise<Pin> {
  work.progress(`asking for the newest image of ${name}`);
  const published = await fetchText(`${url}.sha256`, work);
  const sha256 = /^([0-9a-f]{64})\b/im.exec(published.text)?.[1]?.toLowerCase();
  if (sha256 === undefined) {
    throw new NixproofError('HOST_DOWNLOAD_FAILED', `${published.url} holds no SHA-256`, {
      hint: 'does a proxy answer in its place? get the image by hand and use `--base iso:PATH#SHA256`',
    });
  }
  return { asked: url, url: published.url.replace(/\.sha256$/, ''), sha256, resolvedAt: new Date().toISOString() };
}

function homeFolder(name: string, { sha256 }: PinnedIso, layout: Layout): string {
  return path.join(layout.bases, name, fingerprintOf(sha256));
}

function fingerprintOf(sha256: string): string {
  return sha256.toLowerCase().slice(0, 16);
}

async function findIso(name: string, iso: PinnedIso, layout: Layout): Promise<BaseImage | undefined> {
  const folder = homeFolder(name, iso, layout);
  if (!(await isFinished(folder))) return undefined;
  return { name, fingerprint: fingerprintOf(iso.sha256), iso: path.join(folder, IMAGE), boot: { kind: 'firmware' } };
}

async function prepareIso(name: string, iso: PinnedIso, layout: Layout, cache: string, work: Work): Promise<BaseImage> {
  const inHome = homeFolder(name, iso, layout);
  const inCache = path.join(cache, 'bases', 'iso', iso.sha256.toLowerCase());
  const there = await findIso(name, iso, layout);
  if (there) {
    await verifyImage(path.join(inHome, IMAGE), iso, [inHome, inCache], work);
    work.progress(`base ${name} ${there.fingerprint} is there already`);
    return there;
  }
  const file = path.join(cache, 'bases', 'downloads', `${iso.sha256.toLowerCase()}.iso`);
  await makeShared({ inHome, inCache }, (folder) => getInto(folder, file, name, iso, work), work);
  work.progress(`base ${name} ${fingerprintOf(iso.sha256)} is ready`);
  return { name, fingerprint: fingerprintOf(iso.sha256), iso: path.join(inHome, IMAGE), boot: { kind: 'firmware' } };
}

/**
 * What was verified when it came may have changed since.
 * @throws NixproofError `HOST_DOWNLOAD_SUM`
 */
async function verifyImage(file: string, { url, sha256 }: PinnedIso, folders: readonly string[], work: Work) {
  work.progress('verifying its SHA-256');
  const found = await sha256Of(file);
  if (found === sha256.toLowerCase()) return;
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  throw new NixproofError('HOST_DOWNLOAD_SUM', `${file} is no longer what came from ${url}: its SHA-256 is ${found}`, {
    hint: 'it was removed; run the same command again to download it',
    details: { url, expected: sha256, found },
  });
}

async function getInto(folder: string, file: string, name: string, iso: PinnedIso, work: Work): Promise<void> {
  await download({ ...iso, file }, work);
  const image = path.join(folder, IMAGE);
  await rename(file, image);
  const manifest: BaseManifest = {
    name,
    fingerprint: fingerprintOf(iso.sha256),
    createdAt: new Date().toISOString(),
    recipe: iso,
    files: { [IMAGE]: { sha256: iso.sha256.toLowerCase(), bytes: (await stat(image)).size } },
    packages: {},
    builder: {},
  };
  await writeJson(path.join(folder, MANIFEST), manifest);
}
