import { createTwoFilesPatch } from 'diff';

/** One file of the deployed tree before and after; `before` is undefined where there was none. Paths are relative to the tree. */
export interface FileChange {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string;
}

/** Several heals' changes as one: from what the user wrote to what the last one left. Files that end as they began are left out. */
export function combineChanges(rounds: readonly (readonly FileChange[])[]): readonly FileChange[] {
  const combined = new Map<string, FileChange>();
  for (const { path, before, after } of rounds.flat()) {
    const known = combined.get(path);
    combined.set(path, { path, before: known ? known.before : before, after });
  }
  return [...combined.values()].filter(({ before, after }) => before !== after);
}

/** A unified diff that `git apply` and `patch -p1` take in the deployed folder. Empty where nothing changed. */
export function unifiedDiff(changes: readonly FileChange[]): string {
  return [...changes]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((change) => {
      const mode = change.before === undefined ? 'new file mode 100644\n' : '';
      return `diff --git a/${change.path} b/${change.path}\n${mode}${hunksOf(change)}`;
    })
    .join('');
}

function hunksOf({ path, before, after }: FileChange): string {
  // A new file that is empty is its heading alone.
  if ((before ?? '') === after) return '';
  const from = before === undefined ? '/dev/null' : `a/${path}`;
  const text = createTwoFilesPatch(from, `b/${path}`, before ?? '', after, undefined, undefined, { context: 3 });
  const [, , ...hunks] = text.slice(text.indexOf('--- ')).split('\n');
  // patch(1) wants to see where a name with spaces ends.
  const end = path.includes(' ') ? '\t' : '';
  return [`--- ${from}${end}`, `+++ b/${path}${end}`, ...hunks].join('\n');
}
