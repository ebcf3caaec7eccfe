import type { Readable } from 'node:stream';
import { NixproofError } from '../../domain/error.js';
import { runCommand, streamCommand } from '../process.js';
import type { TreeList } from './list.js';

/**
 * An archive on its way. `ended` is rejected where tar could not pack all of it as it was listed.
 */
export interface Archive {
  readonly stream: Readable;
  readonly ended: Promise<void>;
}

/**
 * Holes, times to the nanosecond and extended attributes, as GNU tar alone unpacks them; what
 * another tar unpacks.
 */
export type Format = 'gnu' | 'plain';

/**
 * Extended attributes that mean the same on another system: a user's own, and what lets a program
 * do what root may.
 */
const XATTRS = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'];

/**
 * Names come from standard input as they are: one that begins with a dash is no option, a backslash
 * no escape.
 */
const NAMES = ['--null', '--verbatim-files-from', '--no-unquote', '--no-recursion', '--files-from=-'];

/** Environment of tar: no options of the user's, and messages that are the same everywhere. */
export const TAR_ENVIRONMENT = { TAR_OPTIONS: '', LC_ALL: 'C' };

const FORMATS: Readonly<Record<Format, readonly string[]>> = {
  gnu: ['--format=posix', '--sparse', ...XATTRS],
  plain: ['--format=gnu'],
};

const UNPACK: Readonly<Record<Format, readonly string[]>> = {
  gnu: ['--extract', '--preserve-permissions', '--numeric-owner', '--delay-directory-restore', ...XATTRS],
  plain: ['-x', '-p'],
};

/** The command that unpacks an archive from standard input into a folder. @param tar the program */
export function unpackCommand(format: Format, folder: string, tar = 'tar'): readonly string[] {
  return [tar, ...UNPACK[format], '-f', '-', '-C', folder];
}

/** What this host packs with. @throws NixproofError `HOST_TOOL_MISSING` */
export async function findTar(signal: AbortSignal): Promise<string> {
  for (const name of ['tar', 'gtar']) {
    const version = await runCommand(name, ['--version'], { signal }).catch(() => '');
    if (isGnuTar(version)) return name;
    signal.throwIfAborted();
  }
  throw new NixproofError('HOST_TOOL_MISSING', 'GNU tar, which folders are copied with, is not installed', {
    hint: 'install it: `sudo apt-get install tar`, on macOS `brew install gnu-tar`',
    details: { tool: 'tar' },
  });
}

/** @param version what `tar --version` printed */
export function isGnuTar(version: string): boolean {
  return version.includes('GNU tar');
}

/** Packs what is listed and nothing else, as root's. @param tar as `findTar` found it */
export async function packTree(list: TreeList, format: Format, tar: string, signal: AbortSignal): Promise<Archive> {
  const names = list.entries.flatMap(({ name }) => [name, NUL]);
  const owner = ['--owner=0', '--group=0', '--numeric-owner'];
  const args = ['--create', '--file=-', `--directory=${list.folder}`, ...FORMATS[format], ...owner, ...NAMES];
  return streamCommand(tar, args, { input: Buffer.concat(names), env: TAR_ENVIRONMENT, signal });
}

const NUL = Buffer.from([0]);
