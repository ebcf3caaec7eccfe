import type { Work } from '../domain/work.js';

/** How a base is started: its kernel without a boot loader, or whatever the firmware finds on its disk or CD. */
export type BaseBoot =
  | {
      readonly kind: 'direct';
      /** Absolute path of the kernel. */
      readonly kernel: string;
      /** Absolute path of the initial RAM disk. */
      readonly initrd: string;
      readonly commandLine: string;
    }
  | { readonly kind: 'firmware' };

/** A disk that machines have overlays of. */
export interface BaseDisk {
  /** Absolute. */
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
}

/** A base that is ready to be booted. Its files are never written to: machines use overlays. */
export interface BaseImage {
  /** Letters only: it names folders. `iso` and `disk` for whatever image was given. */
  readonly name: string;
  /** Names its content: same fingerprint, same recipe. */
  readonly fingerprint: string;
  /** The live system's disk; absent: it runs from its CD and from memory. */
  readonly disk?: BaseDisk;
  /** Absolute path of the CD's image. */
  readonly iso?: string;
  readonly boot: BaseBoot;
}

/** What a base is made of, kept beside it as `manifest.json`. */
export interface BaseManifest {
  readonly name: string;
  readonly fingerprint: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** What it was made from, in full. */
  readonly recipe: unknown;
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
  /** Package → version. */
  readonly packages: Readonly<Record<string, string>>;
  /** Tool → version. */
  readonly builder: Readonly<Record<string, string>>;
}

/** What a pristine machine boots, and how it is got. */
export interface Base {
  /** As the configuration has it: `debian`, `iso:/images/live.iso`. */
  readonly name: string;

  /** The finished image in this home, or undefined where it was not prepared yet. */
  find(): Promise<BaseImage | undefined>;

  /**
   * Makes the image, or finds that there is nothing to do. An interrupted preparation leaves nothing half made.
   * @throws NixproofError `HOST_*`: a missing tool, a full disk, no right to make user namespaces, a server out of reach, an image
   * that is not there or not what it should be
   */
  prepare(work: Work): Promise<BaseImage>;
}
