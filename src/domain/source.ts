/**
 * Where a configuration comes from each time it is needed. `git`: a repository's ref, as it stands then; `folder`: a folder of a
 * host, as it stands then.
 */
export type Source =
  | {
      readonly kind: 'git';
      /** An address, or the absolute path of a repository on the host. Holds no password or token. */
      readonly repository: string;
      readonly ref: string;
      /** The folder in it where the configuration is looked for; empty: its root. */
      readonly folder: string;
    }
  | { readonly kind: 'folder'; readonly path: string };

/** A source as it stood at one moment. */
export interface PinnedSource {
  /** The repository, or the folder's path. */
  readonly repository: string;
  /** Empty for a folder. */
  readonly ref: string;
  /** The commit's id; for a folder `sha256-` and the sum of its content. */
  readonly commit: string;
}

/** A pinned source that lies in a folder of a host. */
export interface SourceTree extends PinnedSource {
  /** Absolute path on the host that planned the suite: paths of the profiles lie below it. */
  readonly tree: string;
}

/** `https://git.example/me/hosts main, commit 3f2a91c04b1d`, in one line. */
export function sourceText({ repository, ref, commit }: PinnedSource): string {
  const short = commit.startsWith(FOLDER_PREFIX)
    ? commit.slice(0, FOLDER_PREFIX.length + 12)
    : `commit ${commit.slice(0, 12)}`;
  return `${repository}${ref === '' ? '' : ` ${ref}`}, ${short}`;
}

/** What the id of a folder's content begins with. */
export const FOLDER_PREFIX = 'sha256-';
