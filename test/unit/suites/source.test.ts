import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { appendFileSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { withSourceHere } from '../../../src/activities/step/pinned-source.js';
import type { RunRequest } from '../../../src/domain/run.js';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { runCommand } from '../../../src/host/process.js';
import { bringSource, pinSource } from '../../../src/suites/source.js';
import { snapshotOf } from '../activities/deploy/random-tree.js';

const work = { signal: new AbortController().signal, progress: () => undefined };
let root: string;
let layout: Layout;
let elsewhere: Layout;
let repository: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'nixproof-source-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  layout = layoutOf(path.join(root, 'home'));
  elsewhere = layoutOf(path.join(root, 'other-home'));
  repository = path.join(root, 'repository');
  await mkdir(repository);
  await git('init', '-q', '-b', 'main');
  await commit('one');
});

async function git(...args: string[]): Promise<string> {
  const who = ['-c', 'user.name=tester', '-c', 'user.email=tester@example.org', '-c', 'commit.gpgsign=false'];
  return (await runCommand('git', [...who, ...args], { cwd: repository })).trim();
}

async function commit(content: string): Promise<string> {
  await writeFile(path.join(repository, 'file'), content);
  await git('add', '-A');
  await git('commit', '-q', '-m', content);
  return git('rev-parse', 'HEAD');
}

const fileIn = (tree: string) => readFile(path.join(tree, 'file'), 'utf8');

describe('a git repository', () => {
  const source = (ref: string) => ({ kind: 'git', repository, ref, folder: '' }) as const;

  test('is pinned by its commit; later commits touch no tree that is there', async () => {
    const first = await pinSource(source('main'), layout, work);
    const second = await commit('two');
    await writeFile(path.join(repository, 'file'), 'not committed');
    const later = await pinSource(source('HEAD'), layout, work);
    expect(later).toEqual({ repository, ref: 'HEAD', commit: second, tree: path.join(layout.sources, second) });
    expect([await fileIn(first.tree), await fileIn(later.tree)]).toEqual(['one', 'two']);
    expect((await readdir(layout.sources)).sort()).toEqual([first.commit, second].sort());
    expect(await readdir(later.tree)).toEqual(['file']);
  });

  test('a commit can be brought to another host, however old it is', async () => {
    const first = await pinSource(source('main'), layout, work);
    await commit('two');
    const tree = await bringSource(first, elsewhere, work);
    expect(tree).toBe(path.join(elsewhere.sources, first.commit));
    expect(await fileIn(tree)).toBe('one');
    await rm(repository, { recursive: true });
    expect(await bringSource(first, elsewhere, work)).toBe(tree);
  });

  test('several at once are one', async () => {
    const pinned = await Promise.all([1, 2, 3].map(() => pinSource(source('main'), layout, work)));
    expect(new Set(pinned.map(({ tree }) => tree)).size).toBe(1);
    expect(await readdir(layout.sources)).toHaveLength(1);
  });

  test.each([['no-such-branch'], ['0123456789012345678901234567890123456789']])('has no %s', async (ref) => {
    await expect(pinSource(source(ref), layout, work)).rejects.toMatchObject({ code: 'TRANSPORT_SOURCE' });
    expect(await readdir(layout.sources)).toEqual([]);
  });

  test('hooks of whoever runs the worker are not run', async () => {
    const hooks = path.join(root, 'hooks');
    await mkdir(hooks);
    await writeFile(path.join(hooks, 'post-checkout'), `#!/bin/sh\ntouch ${root}/ran\n`);
    await chmod(path.join(hooks, 'post-checkout'), 0o755);
    await writeFile(path.join(root, 'gitconfig'), `[core]\n\thooksPath = ${hooks}\n`);
    vi.stubEnv('GIT_CONFIG_GLOBAL', path.join(root, 'gitconfig'));
    onTestFinished(() => void vi.unstubAllEnvs());
    await pinSource(source('main'), layout, work);
    expect(await stat(path.join(root, 'ran')).catch(() => 'not there')).toBe('not there');
  });
});

/** A copy's own time is when it was pinned. */
function withoutRoot(snapshot: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(snapshot).filter(([name]) => name !== ''));
}

describe('a folder', () => {
  const source = () => ({ kind: 'folder', path: repository }) as const;

  test('is named by its content', async () => {
    await symlink('file', path.join(repository, 'link'));
    await symlink('/etc/passwd', path.join(repository, 'link-out'));
    const first = await pinSource(source(), layout, work);
    expect(first.commit).toMatch(/^sha256-[0-9a-f]{64}$/);
    expect((await pinSource(source(), layout, work)).commit).toBe(first.commit);
    await chmod(path.join(repository, 'file'), 0o755);
    const executable = await pinSource(source(), layout, work);
    await writeFile(path.join(repository, 'file'), 'two');
    const other = await pinSource(source(), layout, work);
    expect(new Set([first.commit, executable.commit, other.commit]).size).toBe(3);
    expect([await fileIn(first.tree), await fileIn(other.tree)]).toEqual(['one', 'two']);
  });

  test('that has the home in it is copied without it', async () => {
    const inside = layoutOf(path.join(repository, 'state'));
    const { tree } = await pinSource(source(), inside, work);
    expect((await readdir(tree)).sort()).toEqual(['.git', 'file']);
  });

  test('is only where it was copied', async () => {
    const pinned = await pinSource(source(), layout, work);
    await expect(bringSource(pinned, elsewhere, work)).rejects.toMatchObject({ code: 'HOST_SOURCE_MISSING' });
  });

  test('with a name that is not UTF-8 and a read-only folder is copied whole, and the copy can be removed', async () => {
    const odd = Buffer.concat([Buffer.from(path.join(repository, 'a')), Buffer.from([0xff])]);
    await writeFile(odd, 'odd');
    await mkdir(path.join(repository, 'read-only'));
    await writeFile(path.join(repository, 'read-only/inside'), 'x');
    await chmod(path.join(repository, 'read-only'), 0o555);
    const { tree, commit } = await pinSource(source(), layout, work);
    expect(snapshotOf(tree)).toMatchObject(withoutRoot(snapshotOf(repository)));
    expect((await pinSource(source(), layout, work)).commit).toBe(commit);
    expect(await readdir(layout.sources)).toEqual([commit]);
  });

  test('is copied again where a file vanishes meanwhile, and refused where it changes each time', async () => {
    let copies = 0;
    const onCopy = (change: () => void) => ({
      ...work,
      progress: (text: string) => (text.startsWith(`copying ${repository}`) && copies++ > 0 ? change() : undefined),
    });
    const once = onCopy(() => copies === 2 && unlinkSync(path.join(repository, '.git/description')));
    const { tree } = await pinSource(source(), layout, once);
    expect(snapshotOf(tree)).toMatchObject(withoutRoot(snapshotOf(repository)));
    const always = onCopy(() => appendFileSync(path.join(repository, 'file'), '.'));
    await expect(pinSource(source(), layout, always)).rejects.toMatchObject({
      code: 'CONFIG_DEPLOY_CHANGED',
      details: { names: ['file'] },
    });
    expect(await readdir(layout.sources)).toHaveLength(1);
  });

  test('that is gone', async () => {
    const gone = { kind: 'folder', path: path.join(root, 'gone') } as const;
    await expect(pinSource(gone, layout, work)).rejects.toMatchObject({ code: 'TRANSPORT_SOURCE' });
  });
});

test('paths in the source are those of the host that has the run', () => {
  const tree = '/planner/sources/abc';
  const profile = { deploy: { from: tree, to: '/root' }, checks: [{ key: `${tree}/key` }, { key: `${tree}def/key` }] };
  const source = { repository, ref: 'main', commit: 'abc', tree };
  const request = { run: 'vm-1', profile, source } as unknown as RunRequest;
  const here = path.join(layout.sources, 'abc');
  expect(withSourceHere(request, layout)).toMatchObject({
    profile: { deploy: { from: here, to: '/root' }, checks: [{ key: `${here}/key` }, { key: `${tree}def/key` }] },
  });
  expect(withSourceHere(request, layoutOf('/planner'))).toBe(request);
});
