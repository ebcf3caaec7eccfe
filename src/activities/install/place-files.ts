import { readFile } from 'node:fs/promises';
import { NixproofError, messageOf } from '../../domain/error.js';
import type { InstalledFile, Profile } from '../../domain/profile.js';
import { RECEIVE, requireWritten } from '../../installers/installer.js';
import type { Machine } from '../../machines/machine.js';
import type { StepContext } from '../step/context.js';

/** Where installers mount the system that they install, as nixos-install and others do. */
const TARGET = '/mnt';
/** What the script exits with if nothing is mounted there. */
const NOT_MOUNTED = 9;
const LIMIT_MS = 5 * 60_000;

/**
 * $1: the system's root, or empty; $2: the file; $3: its mode; $4: its length. The content is the
 * input.
 */
const PUT = `${RECEIVE}[ -z "$1" ] || awk -v at="$1" '$2 == at { found = 1 } END { exit !found }' /proc/mounts || exit ${NOT_MOUNTED}
umask 077
mkdir -p "$(dirname "$2")" && receive "$2.nixproof" "$4" || exit
chmod "$3" "$2.nixproof" && mv "$2.nixproof" "$2"`;

/**
 * Puts the profile's files into the system that was installed: below /mnt, or below / if the
 * machine is the installed system itself. Folders that are missing are made for root alone. Their
 * contents travel as a command's input.
 * @throws NixproofError `CONFIG_FILES`, `CONFIG_FILES_TARGET`, `MACHINE_WRITE_FAILED`,
 * `TRANSPORT_*`
 */
export async function placeFiles({ machine, request: { profile }, secrets, work }: StepContext): Promise<void> {
  const { files = [] } = profile;
  if (files.length === 0) return;
  const connection = await machine.connect(work);
  const root = isItself(machine, profile) ? '' : TARGET;
  for (const file of files) {
    work.progress(`putting ${file.to} into the installed system`);
    const input = await contentOf(file, secrets);
    const to = machine.resolvePath(`${root}${file.to}`);
    const argv = ['sh', '-c', PUT, 'sh', root, to, file.mode, String(input.length)];
    const result = await connection.exec(argv, { input, signal: work.signal, timeoutMs: LIMIT_MS });
    if (result.exitCode === NOT_MOUNTED) throw notMounted(file);
    requireWritten(result, to);
  }
}

function isItself(machine: Machine, { install }: Profile): boolean {
  return machine.sharesSystem === true || !install.reboot;
}

async function contentOf({ content }: InstalledFile, { values }: StepContext['secrets']): Promise<Buffer> {
  if ('secret' in content) return values.get(content.secret)?.whole ?? Buffer.alloc(0);
  try {
    return await readFile(content.from);
  } catch (error) {
    throw new NixproofError('CONFIG_FILES', `cannot read ${content.from}: ${messageOf(error)}`, {
      hint: 'put the file on the host of the worker, or correct `files`',
    });
  }
}

function notMounted({ to }: InstalledFile): NixproofError {
  return new NixproofError(
    'CONFIG_FILES_TARGET',
    `${to} cannot be put into the installed system: nothing is mounted at /mnt`,
    {
      hint: 'mount the installed system at /mnt and leave it mounted when the installer ends',
      details: { to },
    },
  );
}
