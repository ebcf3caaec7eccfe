import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../../src/host/process.js';
import { combineChanges, unifiedDiff, type FileChange } from '../../../src/records/patch.js';

const change = (file: string, before: string | undefined, after: string): FileChange => ({ path: file, before, after });
const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join('');

const CASES: readonly (readonly [string, readonly FileChange[]])[] = [
  ['a changed file', [change('a.nix', '{ a = 1; }\n', '{ a = 2; }\n')]],
  ['a new file in a new folder', [change('hosts/vm/disk.nix', undefined, '{ }\n')]],
  ['a new file without a newline at its end', [change('note', undefined, 'no newline')]],
  ['a new file that is empty', [change('a', undefined, '')]],
  ['a file that loses its newline', [change('a', 'x\ny\n', 'x\ny')]],
  ['a file that gains one', [change('a', 'x\ny', 'x\ny\n')]],
  ['an empty file that gets content', [change('a', '', 'x\n')]],
  ['a file that becomes empty', [change('a', 'x\n', '')]],
  ['changes far apart', [change('a', lines(60), lines(60).replace('line 2\n', 'two\n').replace('line 55\n', ''))]],
  ['lines that look like a patch', [change('a', '--- x\n+++ y\n@@ -1 +1 @@\n', '--- z\n+++ y\n@@ -1 +1 @@\n-\n')]],
  ['several files', [change('z', 'z\n', 'Z\n'), change('a', 'a\n', 'A\n'), change('m/n', undefined, 'new\n')]],
  ['a name with spaces', [change('my hosts/the vm.nix', 'a\n', 'b\n')]],
];

async function treeOf(changes: readonly FileChange[]): Promise<string> {
  const tree = await mkdtemp(path.join(tmpdir(), 'nixproof-patch-'));
  onTestFinished(() => rm(tree, { recursive: true }));
  for (const { path: file, before } of changes) {
    if (before === undefined) continue;
    await mkdir(path.dirname(path.join(tree, file)), { recursive: true });
    await writeFile(path.join(tree, file), before);
  }
  return tree;
}

const TOOLS: readonly (readonly [string, readonly string[]])[] = [
  ['git', ['apply', '-']],
  ['patch', ['-p1']],
];

test.each(CASES.flatMap(([what, changes]) => TOOLS.map(([tool, args]) => ({ what, tool, args, changes }))))(
  '$tool takes $what',
  async ({ tool, args, changes }) => {
    const tree = await treeOf(changes);
    await runCommand(tool, args, { cwd: tree, input: unifiedDiff(changes) });
    for (const { path: file, after } of changes) expect(await readFile(path.join(tree, file), 'utf8')).toBe(after);
  },
);

test('several heals of one file are one change of it', () => {
  const rounds = [
    [change('a', 'one\n', 'two\n'), change('b', 'b\n', 'B\n')],
    [change('a', 'two\n', 'three\n'), change('b', 'B\n', 'b\n'), change('new', undefined, 'x\n')],
    [change('new', 'x\n', 'y\n')],
  ];
  expect(combineChanges(rounds)).toEqual([change('a', 'one\n', 'three\n'), change('new', undefined, 'y\n')]);
});

test('nothing changed is no patch', () => {
  expect(unifiedDiff(combineChanges([[change('a', 'x', 'y')], [change('a', 'y', 'x')]]))).toBe('');
});

test('it reads as git writes it', () => {
  expect(unifiedDiff([change('b', 'x\n', 'y\n'), change('a', undefined, 'new')])).toBe(`diff --git a/a b/a
new file mode 100644
--- /dev/null
+++ b/a
@@ -0,0 +1,1 @@
+new
\\ No newline at end of file
diff --git a/b b/b
--- a/b
+++ b/b
@@ -1,1 +1,1 @@
-x
+y
`);
});
