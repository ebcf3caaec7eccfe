import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { isThere, LONG, onlyRun, openBench, type Bench } from './bench.js';
import { snapshotOf } from '../unit/activities/deploy/random-tree.js';

/** Names that a shell, tar or sha256sum would take for something else. */
const ODD_NAMES = [
  'with space',
  ' blanks at both ends ',
  '-rf',
  '--checkpoint-action=exec=touch pwned',
  '@list',
  'ünïcode-ß-日本-🤖',
  'back\\slash',
  'new\nline',
  'tab\tand\rreturn',
  `"quotes'`,
  '$(touch pwned)',
  '`touch pwned`',
  '*',
  '~',
  '..dots',
  '%s',
  'x'.repeat(255),
];

let bench: Bench;
beforeAll(async () => {
  bench = await openBench('own');
  await bench.worker();
});

test('a tree arrives as it is, whatever its names, without what is excluded', async () => {
  const folder = await bench.folder({
    'nixproof.yaml': `profiles:
  odd:
    driver: sandbox
    deploy: { from: tree, to: /srv/odd tree, exclude: ['*.secret', /cache/, node_modules, '!kept.secret'] }
    install: { kind: script, run: 'pwd && test -x ./run && ./run' }\n`,
    'tree/run': '#!/bin/sh\necho it runs\n',
    'tree/deep/er/file': 'deep\n',
    'tree/empty-file': '',
    'tree/.hidden/.file': 'hidden\n',
    'tree/kept.secret': 'kept\n',
    'tree/deep/cache/file': 'only the cache at the top is excluded\n',
  });
  const tree = path.join(folder, 'tree');
  for (const name of ODD_NAMES) await writeFile(path.join(tree, name), `in ${name}`);
  await mkdir(path.join(tree, 'folder\n of -odd $names'));
  await writeFile(path.join(tree, 'folder\n of -odd $names', '-f'), Buffer.from([0, 255, 10, 13]));
  await mkdir(path.join(tree, 'empty-folder'));
  await chmod(path.join(tree, 'deep'), 0o700);
  await chmod(path.join(tree, 'empty-file'), 0o400);
  await symlink('with space', path.join(tree, 'link'));
  await symlink('/nowhere at all', path.join(tree, 'dangling'));
  await symlink('deep/er', path.join(tree, 'link-to-folder'));
  await writeFile(
    Buffer.concat([Buffer.from(`${tree}/no UTF-8 `), Buffer.from([0xff])]),
    'in the middle of the others',
  );
  await mkdir(path.join(tree, 'cache'));
  await mkdir(path.join(tree, 'deep/node_modules'));
  for (const excluded of ['api.secret', 'deep/api.secret', 'cache/file', 'deep/node_modules/file'])
    await writeFile(path.join(tree, excluded), 'excluded');
  const wanted = Object.entries(snapshotOf(tree)).filter(([name]) => !/^cache|node_modules|api\.secret$/.test(name));

  const ended = await bench.np(folder, 'test', '--json', '--keep', 'always');
  const report = onlyRun(ended);
  expect(report).toMatchObject({ verdict: 'passed' });
  const deployed = path.join(await bench.root('odd'), 'srv/odd tree');
  expect(snapshotOf(deployed)).toEqual(Object.fromEntries(wanted));
  expect(await readFile(path.join(report.artifacts, 'attempt-1/install.log'), 'utf8')).toBe(`${deployed}\nit runs\n`);
  expect((await bench.np(folder, 'vm', 'stop', report.run)).exit).toBe(0);
});

// Some of its files nobody may read, root neither.
const UNREADABLE = '/sys/bus/cpu';

test('a file that cannot be read: the verdict is error, with what to do', async ({ skip }) => {
  skip(!(await isThere(`${UNREADABLE}/drivers_probe`)), `${UNREADABLE} is not there: no file that root cannot read`);
  const folder = await bench.folder({
    'nixproof.yaml': `profiles:
  secret:
    driver: sandbox
    deploy: { from: ${UNREADABLE}, exclude: [drivers_autoprobe] }
    install: { kind: script, run: 'true' }\n`,
  });
  const ended = await bench.np(folder, 'test', '--json');
  expect(ended.exit).toBe(3);
  expect(onlyRun(ended)).toMatchObject({
    verdict: 'error',
    attempts: 0,
    fault: {
      code: 'CONFIG_DEPLOY_UNREADABLE',
      message: expect.stringMatching(/^\/sys\/bus\/cpu cannot be copied: .+ cannot be read \(E\w+: .+\)$/) as string,
      hint: 'make it readable for the user who runs the worker, or leave it out with `deploy.exclude`',
    },
  });
  const plain = await bench.np(folder, 'test');
  expect(plain.exit).toBe(3);
  expect(plain.stdout).toMatch(/^ {2}CONFIG_DEPLOY_UNREADABLE: \/sys\/bus\/cpu cannot be copied: /m);
  expect(plain.stdout).toMatch(/^ {2}hint +make it readable for the user who runs the worker, or /m);
});

test('and nothing is left', LONG, () => bench.expectNothingLeft());
