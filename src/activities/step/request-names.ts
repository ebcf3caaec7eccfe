import { parseName } from '../../domain/names.js';
import type { RunRequest } from '../../domain/run.js';

/**
 * Refuses a request whose names could be paths: any client that may start workflows chooses them.
 * @throws NixproofError `CONFIG_NAME`
 */
export function requireNames({ run, suite, machine, source }: RunRequest): void {
  parseName(run, 'run');
  parseName(suite, 'suite');
  if (machine !== undefined) parseName(machine, 'machine');
  if (source !== undefined) parseName(source.commit, 'source');
}
