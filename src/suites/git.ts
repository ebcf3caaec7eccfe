import { rm } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, NixproofError } from '../domain/error.js';
import type { Work } from '../domain/work.js';
import { runCommand } from '../host/process.js';

/** A slow line and a large repository. */
const FETCH_MS = 20 * 60_000;

/** Fetches one commit's worth of a ref into a new repository in `folder`; gives its id. @throws `TRANSPORT_SOURCE` */
export async function fetchRef(folder: string, repository: string, ref: string, work: Work): Promise<string> {
  await git(folder, work, 'init', '-q', '--template=');
  await fetch(folder, work, repository, ref, ['--depth', '1']);
  return (await git(folder, work, 'rev-parse', '--verify', 'FETCH_HEAD^{commit}')).trim();
}

/** The same for a commit by its id. A server that gives no commit by its id has it in its ref's history. @throws `TRANSPORT_SOURCE` */
export async function fetchCommit(
  folder: string,
  repository: string,
  ref: string,
  commit: string,
  work: Work,
): Promise<void> {
  await git(folder, work, 'init', '-q', '--template=');
  try {
    await fetch(folder, work, repository, commit, ['--depth', '1']);
  } catch {
    work.signal.throwIfAborted();
    await fetch(folder, work, repository, ref, []);
  }
  await git(folder, work, 'cat-file', '-e', `${commit}^{commit}`);
}

/** The commit's files, and nothing of git beside them. */
export async function checkOut(folder: string, commit: string, work: Work): Promise<void> {
  await git(folder, work, '-c', 'core.hooksPath=/dev/null', 'checkout', '-q', '--detach', commit);
  await rm(path.join(folder, '.git'), { recursive: true, force: true });
}

/** Where a folder lies in a work tree: its root, and the way from there; undefined where it is in none, or git is missing. */
export async function workTreeOf(
  folder: string,
  work: Work,
): Promise<{ readonly repository: string; readonly folder: string } | undefined> {
  try {
    const [repository = '', within = ''] = (
      await git(folder, work, 'rev-parse', '--show-toplevel', '--show-prefix')
    ).split('\n');
    return repository === '' ? undefined : { repository, folder: within.replace(/\/$/, '') };
  } catch {
    work.signal.throwIfAborted();
    return undefined;
  }
}

/** Whether a work tree has changes that no commit has. */
export async function isDirty(folder: string, work: Work): Promise<boolean> {
  return (await git(folder, work, 'status', '--porcelain', '--', '.')) !== '';
}

async function fetch(
  folder: string,
  work: Work,
  repository: string,
  what: string,
  options: readonly string[],
): Promise<void> {
  await git(folder, work, 'fetch', '-q', '--no-tags', ...options, '--', repository, what);
}

/** Nobody is there to be asked for a password. */
async function git(folder: string, { signal }: Work, ...args: readonly string[]): Promise<string> {
  try {
    return await runCommand('git', args, {
      cwd: folder,
      signal,
      timeoutMs: FETCH_MS,
      group: true,
      env: { GIT_TERMINAL_PROMPT: '0', GCM_INTERACTIVE: 'never', LC_ALL: 'C' },
      hint: 'install git',
    });
  } catch (error) {
    if (!hasCode(error, 'HOST_COMMAND_FAILED')) throw error;
    throw new NixproofError('TRANSPORT_SOURCE', error.message, {
      hint: 'can this user of this host fetch it with `git`, without being asked for a password?',
      details: error.details,
    });
  }
}
