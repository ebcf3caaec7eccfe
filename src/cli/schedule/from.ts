import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { Source } from '../../domain/source.js';
import type { Work } from '../../domain/work.js';
import { isFolder } from '../../host/files.js';

/** git's own addresses: a scheme, or `user@host:path`. */
const ADDRESS = /^(?:(?:https?|ssh|git|file):\/\/|[\w.-]+@[\w.-]+:)/;

/**
 * What `--from` and `--ref` name: a repository elsewhere, a work tree on this host, or a plain folder.
 * @throws NixproofError `CONFIG_FLAG`
 */
export async function sourceOf(from: string, ref: string | undefined, work: Work): Promise<Source> {
  if (ref !== undefined) requireRef(ref);
  if (ADDRESS.test(from)) return { kind: 'git', repository: withoutSecret(from), ref: ref ?? 'HEAD', folder: '' };
  if (/^[a-z+]+:/.test(from)) throw wrong('--from', `${JSON.stringify(from)} is no address that git has`);
  const folder = path.resolve(from);
  if (!(await isFolder(folder))) throw wrong('--from', `there is no folder ${from}`);
  const { workTreeOf, isDirty } = await import('../../suites/git.js');
  const tree = await workTreeOf(await realpath(folder), work);
  if (tree) {
    if (await isDirty(folder, work))
      work.progress(`${from} has changes that are not committed: a schedule tests what is committed`);
    return { kind: 'git', ref: ref ?? 'HEAD', ...tree };
  }
  if (ref !== undefined) throw wrong('--ref', `${from} is no git repository`);
  work.progress(`${folder} is no git repository: it is copied as it is at every firing, on this host only`);
  return { kind: 'folder', path: folder };
}

function withoutSecret(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const secret = url && (url.password !== '' || (url.username !== '' && /^https?:$/.test(url.protocol)));
  if (!secret) return address;
  throw new NixproofError('CONFIG_FLAG', '--from: the address holds a password or token', {
    hint: 'it would stand in the server’s records; leave it out, and give git a credential helper or an SSH key on the worker’s host',
    details: { flag: '--from' },
  });
}

/** A branch, a tag or a commit's id: what git takes as one, and nothing it would take as an option or several refs. */
function requireRef(ref: string): void {
  if (/^[^\s\p{Cc}:+^~?*[\\-][^\s\p{Cc}:^~?*[\\]*$/u.test(ref) && !ref.includes('..')) return;
  throw wrong('--ref', `${JSON.stringify(ref)} is no branch, tag or commit`);
}

function wrong(flag: string, what: string): NixproofError {
  return new NixproofError('CONFIG_FLAG', `${flag}: ${what}`, {
    hint: 'give --from an address such as https://git.example/me/hosts or a folder, and --ref a branch, tag or commit',
    details: { flag },
  });
}
