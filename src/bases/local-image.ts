import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError, messageOf } from '../domain/error.js';
import { readJson, sha256Of, writeJson } from '../host/files.js';
import { cacheDirectory } from '../host/paths.js';
import { runCommand } from '../host/process.js';
import type { Base, BaseDisk, BaseImage } from './base.js';

/** An image of this host, as it was named. */
export interface LocalImage {
  readonly kind: 'iso' | 'disk';
  /** Absolute. */
  readonly path: string;
  /** What its SHA-256 has to be, hexadecimal; undefined: whatever it is. */
  readonly sha256: string | undefined;
}

/**
 * An ISO or a disk that is there already. It is used where it lies and never written to; another content is another base. Both
 * are started by the machine's firmware.
 */
export function localImageBase(image: LocalImage, cache = cacheDirectory()): Base {
  const inspect = async (): Promise<BaseImage> => {
    const sha256 = await contentOf(image.path, cache);
    if (image.sha256 !== undefined && sha256 !== image.sha256.toLowerCase())
      throw unusable(
        image,
        `its SHA-256 is ${sha256}, not ${image.sha256}`,
        'compare it with the one its publisher names',
      );
    const common = { name: image.kind, fingerprint: sha256.slice(0, 16), boot: { kind: 'firmware' } } as const;
    return image.kind === 'iso' ? { ...common, iso: image.path } : { ...common, disk: await diskOf(image) };
  };
  return {
    name: `${image.kind}:${image.path}`,
    find: inspect,
    async prepare(work) {
      work.progress(`reading ${image.path}`);
      const found = await inspect();
      work.progress(`base ${found.name} ${found.fingerprint} is ready`);
      return found;
    },
  };

  async function contentOf(file: string, cacheFolder: string): Promise<string> {
    try {
      return await sumOf(file, path.join(cacheFolder, 'bases', 'sums'));
    } catch (error) {
      throw unusable(image, `it cannot be read: ${messageOf(error)}`, 'name an image that is there', error);
    }
  }
}

/** A sum that was reckoned once, while the file stays as large and as old as it was. */
interface KnownSum {
  readonly bytes: number;
  readonly modifiedMs: number;
  readonly sha256: string;
}

async function sumOf(file: string, folder: string): Promise<string> {
  const { size: bytes, mtimeMs: modifiedMs } = await stat(file);
  const record = path.join(folder, `${createHash('sha256').update(file).digest('hex').slice(0, 16)}.json`);
  const known = await readJson<KnownSum>(record);
  if (known?.bytes === bytes && known.modifiedMs === modifiedMs) return known.sha256;
  const sha256 = await sha256Of(file);
  await writeJson(record, { bytes, modifiedMs, sha256 } satisfies KnownSum);
  return sha256;
}

async function diskOf(image: LocalImage): Promise<BaseDisk> {
  const hint = 'is qemu-img there? `apt-get install qemu-utils`';
  const text = await runCommand('qemu-img', ['info', '--output=json', image.path], { code: 'HOST_BASE_IMAGE', hint });
  const { format } = JSON.parse(text) as { readonly format: string };
  if (format === 'qcow2' || format === 'raw') return { path: image.path, format };
  const convert = `convert it: \`qemu-img convert -O qcow2 ${image.path} disk.qcow2\``;
  throw unusable(image, `its format is ${format}, not qcow2 or raw`, convert);
}

function unusable(image: LocalImage, why: string, hint: string, cause?: unknown): NixproofError {
  return new NixproofError('HOST_BASE_IMAGE', `the image ${image.path} cannot be a base: ${why}`, {
    hint,
    details: { image: image.path },
    cause,
  });
}
