import type { Work } from '../domain/work.js';

/** How a base's kernel is started without a boot loader. */
export interface DirectBoot {
  /** Absolute path of the kernel. */
  readonly kernel: string;
  /** Absolute path of the initial RAM disk. */
  readonly initrd: string;
  readonly commandLine: string;
}

/** A base that is ready to be booted. Its files are never written to: machines use overlays. */
export interface BaseImage {
  readonly name: string;
  /** Names its content: same fingerprint, same recipe. */
  readonly fingerprint: string;
  /** Absolute path of the live system's disk, qcow2. */
  readonly disk: string;
  readonly boot: DirectBoot;
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
  readonly name: string;
  /** Fingerprint of the recipe as this version of nixproof has it. */
  readonly fingerprint: string;

  /** The finished image in this home, or undefined where it was not prepared yet. */
  find(): Promise<BaseImage | undefined>;

  /**
   * Makes the image, or finds that there is nothing to do. An interrupted preparation leaves nothing half made.
   * @throws NixproofError `HOST_*`: a missing tool, a full disk, no right to make user namespaces, packages out of reach
   */
  prepare(work: Work): Promise<BaseImage>;
}
