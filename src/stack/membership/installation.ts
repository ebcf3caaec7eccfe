import { fileURLToPath } from 'node:url';
import { NixproofError } from '../../domain/error.js';
import { commandLine } from '../../host/process.js';
import { build } from '../../host/version.js';
import type { StackRecord } from './record.js';

/** What wrote a stack's record: nixproof as it is installed in one place. */
export interface Installation {
  /** Of the stack's files, and of what its processes ask each other. */
  readonly protocol: number;
  readonly build: string;
  /** Absolute path of its package. */
  readonly folder: string;
}

/** Counted up when a file of the stack's folder changes its meaning. */
const PROTOCOL = 1;

export const OWN_INSTALLATION: Installation = {
  protocol: PROTOCOL,
  build,
  folder: fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, ''),
};

/** The command line that runs one of our own commands in this installation. */
export function ownCommand(command: string): readonly string[] {
  return [process.execPath, fileURLToPath(new URL('../../cli/main.js', import.meta.url)), command];
}

/**
 * Refuses a stack whose worker runs other code than this: it would take this installation's tasks,
 * and answer in another form.
 * @throws NixproofError `SERVER_OTHER_INSTALLATION`
 */
export async function requireOwnInstallation(record: StackRecord): Promise<void> {
  // Written by any version: only the holder is in all of them.
  const { holder, installation } = record as Pick<StackRecord, 'holder'> & Partial<StackRecord>;
  if (installation?.protocol === PROTOCOL && installation.build === build) return;
  const place = installation?.folder ?? (await commandLine(holder.pid)) ?? 'an unknown place';
  const other = `${place} (${installation?.build ?? 'an older build'}, process ${holder.pid})`;
  throw new NixproofError(
    'SERVER_OTHER_INSTALLATION',
    `the local stack of this home belongs to another installation of nixproof: ${other}; this one is ${OWN_INSTALLATION.folder} (${build})`,
    {
      hint: `stop the other one (\`kill ${holder.pid}\`), or set NIXPROOF_HOME to another folder`,
      details: { process: holder.pid, place, build: installation?.build ?? null, own: build },
    },
  );
}
