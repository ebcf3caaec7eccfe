import { accessSync, constants, readlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Where everything nixproof keeps lives: `$NIXPROOF_HOME`, else `$XDG_STATE_HOME/nixproof`, else `~/.local/state/nixproof`. */
export function nixproofHome(env: NodeJS.ProcessEnv = process.env): string {
  if (env['NIXPROOF_HOME']) return path.resolve(env['NIXPROOF_HOME']);
  return path.join(env['XDG_STATE_HOME'] || path.join(homedir(), '.local', 'state'), 'nixproof');
}

/**
 * Downloads and tools that any number of homes share: `$XDG_CACHE_HOME/nixproof`, else
 * `~/.cache/nixproof`, else, if that cannot be written (a service's read-only HOME),
 * `$NIXPROOF_HOME/cache`.
 */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env['XDG_CACHE_HOME']) return path.join(env['XDG_CACHE_HOME'], 'nixproof');
  const shared = path.join(env['HOME'] || homedir(), '.cache', 'nixproof');
  return canBeWritten(shared) ? shared : path.join(nixproofHome(env), 'cache');
}

/** Of a folder, or, where it is not there yet, of the nearest one above it. */
function canBeWritten(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return isAbsent && path.dirname(folder) !== folder && canBeWritten(path.dirname(folder));
  }
}

/** A path that begins with `~/`, from this user's home folder; any other as it is. */
export function fromHomeFolder(written: string): string {
  return written.startsWith('~/') ? path.join(homedir(), written.slice(2)) : written;
}

/** The folders below the home, by what they hold. */
export interface Layout {
  readonly home: string;
  /** `bases/<base>/…`: images and templates. Where it is a link, the folder that this leads to. */
  readonly bases: string;
  /** `machines/<id>/…`: what a driver needs to find a machine again. */
  readonly machines: string;
  /** `hosts/<address>:<port>/…`: machines that exist already: whose they are now, and their host keys. */
  readonly hosts: string;
  /** `runs/<run-id>/…`: artifacts. */
  readonly runs: string;
  /** `sources/<commit>/…`: configurations as they were when a schedule fired. */
  readonly sources: string;
  /** `keys/…`: what commands are sealed with. */
  readonly keys: string;
  /** The local Temporal server: lock, state, database, logs. */
  readonly stack: string;
}

export function layoutOf(home: string): Layout {
  return {
    home,
    bases: whereItLeads(path.join(home, 'bases')),
    machines: path.join(home, 'machines'),
    hosts: path.join(home, 'hosts'),
    runs: path.join(home, 'runs'),
    sources: path.join(home, 'sources'),
    keys: path.join(home, 'keys'),
    stack: path.join(home, 'stack'),
  };
}

/** Disks and templates record the path they were made from: it must hold without the link. */
function whereItLeads(folder: string): string {
  try {
    return path.resolve(path.dirname(folder), readlinkSync(folder));
  } catch {
    // No link, or nothing yet.
    return folder;
  }
}
