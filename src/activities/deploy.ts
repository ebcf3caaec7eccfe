import { createHash } from 'node:crypto';
import type { ReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import ignore from 'ignore';
import tar from 'tar-fs';
import { NixproofError } from '../domain/error.js';
import type { Deployment } from '../domain/profile.js';
import { isErrno } from '../host/files.js';
import type { Connection, Machine, Work } from '../machines/machine.js';
import { requirePrograms } from '../machines/missing-program.js';

export interface DeployedTree {
  readonly files: number;
  readonly bytes: number;
  /** Of the list of the files' own sums: names the tree. */
  readonly sha256: string;
}

/**
 * Streams a folder into the machine as it is now, without what `exclude` names, and has the machine verify every file's
 * SHA-256. The tree takes its place in one step, so a deployment that was cut short leaves nothing half.
 * @throws NixproofError `CONFIG_DEPLOY_MISSING`, `CONFIG_DEPLOY_UNREADABLE`,
 * `MACHINE_TOOL_MISSING`,
 * `MACHINE_DEPLOY_FAILED`
 */
export async function deployTree(machine: Machine, deployment: Deployment, work: Work): Promise<DeployedTree> {
  await requireFolder(deployment.from);
  const connection = await machine.connect(work);
  const to = machine.resolvePath(deployment.to);
  const tree = pack(deployment);
  work.progress(`copying ${deployment.from}`);
  const unpack = 'rm -rf "$1.new" && mkdir -p "$1.new" && tar -x -p -f - -C "$1.new"';
  await run(connection, work, unpack, [to], tree.stream).catch((error: unknown) => {
    work.signal.throwIfAborted();
    throw tree.stream.errored && error === tree.stream.errored ? unreadable(tree.stream.errored) : error;
  });
  const { sums, files, bytes } = tree.packed();
  work.progress(`verifying ${files} files`);
  // Done once more, late, by one who came back from the dead, it finds no new tree and takes nothing away.
  const verify = files === 0 ? '' : '(cd "$1.new" && sha256sum --check --quiet --strict -) && ';
  await run(connection, work, `[ ! -d "$1.new" ] || { ${verify}rm -rf "$1" && mv "$1.new" "$1"; }`, [to], sums);
  return { files, bytes, sha256: createHash('sha256').update(sums).digest('hex') };
}

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new NixproofError('CONFIG_DEPLOY_MISSING', `${folder}, which is to be deployed, is not a folder on this host`, {
    hint: 'correct `deploy.from`; a worker on another host needs the folder at the same path',
  });
}

/** A file that may not be read stays so; one that changed under our hands may be read at the next try. */
function unreadable(cause: Error): NixproofError {
  const forbidden = ['EACCES', 'EPERM', 'EIO'].some((code) => isErrno(cause, code));
  return new NixproofError(
    forbidden ? 'CONFIG_DEPLOY_UNREADABLE' : 'MACHINE_DEPLOY_FAILED',
    `the folder to deploy could not be read: ${cause.message}`,
    {
      hint: forbidden
        ? 'make it readable for the user who runs the worker, or leave it out with `deploy.exclude`'
        : 'is something writing to the folder at the same time?',
      cause,
    },
  );
}

/** A tar stream of the tree; `packed` tells, once it was read, what was in it, as sha256sum(1) writes and checks it. */
function pack({ from, exclude }: Deployment) {
  const excluded = ignore().add([...exclude]);
  const sums: string[] = [];
  let bytes = 0;
  const packed = tar.pack(from, {
    // Sockets, pipes and devices are not configuration.
    strict: false,
    ignore: (name) => {
      const relative = path.relative(from, name);
      // A pattern such as `dir/` means folders; what it is is not known here, and a file of that name is rare.
      return excluded.ignores(relative) || excluded.ignores(`${relative}/`);
    },
    map: (header) => ({ ...header, uid: 0, gid: 0 }),
    mapStream: (file, header) => {
      const hash = createHash('sha256');
      const through = new PassThrough();
      file.on('data', (chunk) => {
        hash.update(chunk);
        bytes += chunk.length;
      });
      file.once('end', () => sums.push(sumLine(hash.digest('hex'), header.name)));
      file.once('error', (error) => through.destroy(error));
      return file.pipe(through) as unknown as ReadStream;
    },
  });
  // tar-fs streams are streamx's: a Readable of Node's own over them has the back-pressure and errors we rely on.
  const stream = Readable.from(packed, { objectMode: false });
  return { stream, packed: () => ({ sums: sums.join(''), files: sums.length, bytes }) };
}

/** One line of sha256sum's format: a name with a backslash or newline is escaped and the line begins with a backslash. */
function sumLine(sum: string, name: string): string {
  const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `${escaped === name ? '' : '\\'}${sum}  ${escaped}\n`;
}

async function run(
  connection: Connection,
  { signal }: Work,
  script: string,
  args: readonly string[],
  input?: string | Readable,
): Promise<void> {
  const result = await connection.exec(['sh', '-c', script, 'sh', ...args], {
    signal,
    timeoutMs: 30 * 60_000,
    ...(input === undefined ? {} : { input }),
  });
  const { exitCode, stderr, stdout } = result;
  if (exitCode === 0) return;
  requirePrograms(result);
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' ');
  throw new NixproofError('MACHINE_DEPLOY_FAILED', `the configuration could not be deployed: ${said}`, {
    hint: 'is there room for it in the machine, and is nothing writing to the folder at the same time?',
  });
}
