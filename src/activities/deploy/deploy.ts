import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { NixproofError } from '../../domain/error.js';
import type { Deployment } from '../../domain/profile.js';
import { isGnuTar, unpackCommand } from '../../host/tree/archive.js';
import { differences, digestOf, LOOK, parseLook } from '../../host/tree/digest.js';
import { excluding } from '../../host/tree/exclude.js';
import { noteOf, type TreeSource } from '../../host/tree/list.js';
import { sendTree, type Receiver } from '../../host/tree/send.js';
import type { Connection, ExecResult, Machine, Work } from '../../machines/machine.js';
import { requirePrograms } from '../../machines/missing-program.js';

export interface DeployedTree {
  readonly files: number;
  readonly bytes: number;
  /** Of all that was listed: names the tree. */
  readonly sha256: string;
  /** What was left out because no copy can have it; absent: nothing. */
  readonly note?: string;
}

/** What a step here may take. */
const LIMIT_MS = 30 * 60_000;
/** What is printed of a tree that arrived otherwise, to name what differs. */
const LOOK_BYTES = 64 * 1024 * 1024;
/** What `SETTLE` exits with where the tree is another one. */
const DIFFERENT = 9;

/** A folder may be read-only, which keeps a normal user from removing what is in it. */
const REMOVE = `
remove() {
  [ -L "$1" ] || [ ! -d "$1" ] || find "$1" -type d ! -perm -700 -exec chmod u+rwx {} \\;
  rm -rf "$1"
}
`;
/** $1: where the tree is to be; then the command that unpacks it beside that. */
const UNPACK = `${REMOVE} to=$1; shift; export TAR_OPTIONS=; remove "$to.new" && mkdir -p "$to.new" && exec "$@"`;
/** Done once more, late, by a worker presumed dead, it finds no new tree and takes nothing away. */
const SETTLE = `${REMOVE}${LOOK}
place="$1.new"
[ -d "$place" ] || place=$1
sum=$(cd "$place" && look | sha256sum) || exit
[ "$sum" = "$2  -" ] || exit ${DIFFERENT}
[ "$place" = "$1" ] || { remove "$1" && mv "$place" "$1"; }`;
const SHOW = `${LOOK} cd "$1.new" && look | od -An -v -tx1 | tr -d ' \\n'`;

/**
 * Copies a folder into the machine as it is now, without what `exclude` names and without
 * nixproof's home, and has the machine compare all of it with what was listed. The tree takes its
 * place in one step, so a deployment that was cut short leaves nothing half.
 * @param home nixproof's, which may be in the folder
 * @throws NixproofError `CONFIG_DEPLOY_MISSING`, `CONFIG_DEPLOY_UNREADABLE`,
 * `CONFIG_DEPLOY_CHANGED`, `MACHINE_DEPLOY_FAILED`, `HOST_TOOL_MISSING`,
 * `MACHINE_TOOL_MISSING`
 */
export async function deployTree(
  machine: Machine,
  { from, to, exclude }: Deployment,
  home: string,
  work: Work,
): Promise<DeployedTree> {
  await requireFolder(from);
  const source: TreeSource = {
    folder: from,
    isLeftOut: await excluding(from, exclude, home),
    remedy: 'leave it out with `deploy.exclude`',
  };
  const receiver = await receiverIn(await machine.connect(work), machine.resolvePath(to), work);
  const list = await sendTree(source, receiver, work);
  const note = noteOf(list);
  const files = list.entries.flatMap((entry) => (entry.kind === 'file' ? [entry.bytes] : []));
  return {
    files: files.length,
    bytes: files.reduce((sum, bytes) => sum + bytes, 0),
    sha256: digestOf(list),
    ...(note === undefined ? {} : { note }),
  };
}

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new NixproofError('CONFIG_DEPLOY_MISSING', `${folder}, which is to be deployed, is not a folder on this host`, {
    hint: 'correct `deploy.from`; a worker on another host needs the folder at the same path',
  });
}

async function receiverIn(connection: Connection, to: string, { signal }: Work): Promise<Receiver> {
  const sh = (script: string, args: readonly string[], more: { input?: Readable; maxBytes?: number } = {}) =>
    connection.exec(['sh', '-c', script, 'sh', ...args], { signal, timeoutMs: LIMIT_MS, ...more });
  const { stdout: version } = await connection.exec(['sh', '-c', 'tar --version'], { signal });
  const format = isGnuTar(version) ? 'gnu' : 'plain';
  return {
    format,
    async unpack(archive) {
      succeeded(await sh(UNPACK, [to, ...unpackCommand(format, `${to}.new`)], { input: archive }));
    },
    async settle(list) {
      const settled = await sh(SETTLE, [to, digestOf(list)]);
      if (settled.exitCode !== DIFFERENT) {
        succeeded(settled);
        return [];
      }
      const shown = succeeded(await sh(SHOW, [to], { maxBytes: LOOK_BYTES }));
      const different = differences(list.entries, parseLook(Buffer.from(shown, 'hex')));
      // No difference would mean that the tree has taken its place.
      if (different.length === 0) throw changedBetween();
      return different;
    },
  };
}

function changedBetween(): NixproofError {
  return new NixproofError('MACHINE_DEPLOY_FAILED', 'the deployed tree changed in the machine while it was verified', {
    hint: 'does something in the machine write to the folder that is deployed to?',
  });
}

function succeeded(result: ExecResult): string {
  const { exitCode, stdout, stderr } = result;
  if (exitCode === 0) return stdout;
  requirePrograms(result);
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' ');
  throw new NixproofError('MACHINE_DEPLOY_FAILED', `the configuration could not be deployed: ${said}`, {
    hint: 'is there room for it in the machine, and does the machine have tar, find, xargs and GNU coreutils?',
  });
}
