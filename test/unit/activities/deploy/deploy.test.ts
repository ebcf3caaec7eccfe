import {
  appendFile,
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { appendFileSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { deployTree } from '../../../../src/activities/deploy/deploy.js';
import { asUser, NOBODY } from '../../host/tree/as-user.js';
import { localMachine } from '../local-machine.js';
import { makePipes, snapshotOf } from './random-tree.js';

let root: string;
let from: string;
let to: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'nixproof-deploy-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  [from, to] = [path.join(root, 'from'), path.join(root, 'to')];
  await mkdir(path.join(from, 'folder'), { recursive: true });
  for (const name of ['a', 'folder/b', 'z']) await writeFile(path.join(from, name), name);
});

const deploy = (machine = localMachine(), exclude: readonly string[] = [], onCopy: () => void = () => undefined) =>
  deployTree(machine, { from, to, exclude }, path.join(root, 'home'), {
    signal: new AbortController().signal,
    progress: (text) => (text.startsWith('copying') ? onCopy() : undefined),
  });

const isUnpacking = (script: string) => script.includes('mkdir -p "$to.new"');
const isSettling = (script: string) => script.includes('[ "$sum" = ');
const isShowing = (script: string) => script.includes('od -An');

test('a name that is not UTF-8 cuts nothing', async () => {
  const odd = Buffer.concat([Buffer.from(path.join(from, 'a')), Buffer.from([0xff, 0xfe])]);
  await writeFile(odd, 'odd');
  const deployed = await deploy();
  expect(deployed).toEqual({ files: 4, bytes: 13, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  expect(snapshotOf(to)).toEqual(snapshotOf(from));
});

test('the sum names what is in the tree, wherever it lies and however old it is', async () => {
  const first = await deploy();
  const again = await deploy();
  await chmod(path.join(from, 'a'), 0o755);
  const other = await deploy();
  expect([again.sha256 === first.sha256, other.sha256 === first.sha256]).toEqual([true, false]);
});

describe('a tree that changes after it was listed', () => {
  test('a file that vanishes: what comes after it arrives', async () => {
    let copies = 0;
    await deploy(localMachine(), [], () => copies++ === 0 && unlinkSync(path.join(from, 'a')));
    expect(copies).toBe(2);
    expect(snapshotOf(to)).toEqual(snapshotOf(from));
  });

  test('a file that vanishes while tar packs', async () => {
    // Longer than what pipes hold: tar has not come to z when the machine begins to unpack.
    await writeFile(path.join(from, 'long'), Buffer.alloc(8 << 20, 'long'));
    await deploy(
      localMachine((script) => (isUnpacking(script) ? rm(path.join(from, 'z'), { force: true }) : undefined)),
    );
    expect(await readdir(to)).toEqual(['a', 'folder', 'long']);
  });

  test('a file that changes each time is refused by name', async () => {
    const grow = () => appendFileSync(path.join(from, 'folder/b'), '.');
    await expect(deploy(localMachine(), [], grow)).rejects.toMatchObject({
      code: 'CONFIG_DEPLOY_CHANGED',
      message: `${from} changes while it is copied: folder/b`,
      hint: 'stop what writes to it, or leave it out with `deploy.exclude`',
      details: { names: ['folder/b'] },
    });
    expect(await readdir(root)).not.toContain('to');
  });

  test('one name after the other that vanishes is refused', async () => {
    const names = ['a', 'z'];
    const vanish = () => unlinkSync(path.join(from, names.shift() ?? ''));
    await expect(deploy(localMachine(), [], vanish)).rejects.toMatchObject({ details: { names: ['z'] } });
  });
});

describe('a tree that arrives otherwise is not taken', () => {
  const arrived = (name: string) => path.join(`${to}.new`, name);

  test('nor one that is as listed only when it is looked at again', async () => {
    const machine = localMachine((script) => {
      if (isSettling(script)) return writeFile(arrived('a'), 'b');
      return isShowing(script) ? writeFile(arrived('a'), 'a') : undefined;
    });
    await expect(deploy(machine)).rejects.toMatchObject({
      code: 'MACHINE_DEPLOY_FAILED',
      message: 'the deployed tree changed in the machine while it was verified',
    });
    expect(await readdir(root)).not.toContain('to');
  });

  test.each<[string, string[], () => Promise<unknown>]>([
    ['a file is missing', ['a'], () => unlink(arrived('a'))],
    ['a file has another byte', ['a'], () => writeFile(arrived('a'), 'b')],
    ['a file is longer', ['a'], () => appendFile(arrived('a'), '\n')],
    ['a file has another mode', ['z'], () => chmod(arrived('z'), 0o600)],
    ['a folder has another mode', ['folder'], () => chmod(arrived('folder'), 0o700)],
    ['the folder itself has another mode', ['.'], () => chmod(`${to}.new`, 0o700)],
    ['something is there that was not listed', ['folder/extra'], () => writeFile(arrived('folder/extra'), '')],
    ['a folder is there that was not listed', ['extra'], () => mkdir(arrived('extra'))],
    [
      'a hard link is a file of its own',
      ['hard', 'one'],
      async () => {
        await unlink(arrived('hard'));
        await writeFile(arrived('hard'), 'one');
      },
    ],
    [
      'a link leads elsewhere',
      ['link'],
      async () => {
        await unlink(arrived('link'));
        await symlink('b', arrived('link'));
      },
    ],
    [
      'a file is a link to the same',
      ['folder/b'],
      async () => {
        await unlink(arrived('folder/b'));
        await symlink(path.join(from, 'folder/b'), arrived('folder/b'));
      },
    ],
  ])('%s', async (_, names, spoil) => {
    await symlink('a', path.join(from, 'link'));
    await writeFile(path.join(from, 'one'), 'one');
    await link(path.join(from, 'one'), path.join(from, 'hard'));
    const machine = localMachine(async (script) => {
      if (isSettling(script)) await spoil();
    });
    await expect(deploy(machine)).rejects.toMatchObject({
      code: 'MACHINE_DEPLOY_FAILED',
      message: `${from} could not be copied: ${names.join(', ')} did not arrive as on this host`,
    });
    expect(await readdir(root)).not.toContain('to');
  });

  test('once only: it is sent again', async () => {
    let spoiled = false;
    const machine = localMachine(async (script) => {
      if (!isSettling(script) || spoiled) return;
      spoiled = true;
      await unlink(arrived('a'));
    });
    await deploy(machine);
    expect(snapshotOf(to)).toEqual(snapshotOf(from));
  });

  test('a machine that cannot unpack it says why', async () => {
    await writeFile(path.join(root, 'file'), '');
    to = path.join(root, 'file/to');
    await expect(deploy()).rejects.toMatchObject({
      code: 'MACHINE_DEPLOY_FAILED',
      message: expect.stringMatching(/could not be deployed: .*Not a directory/) as string,
    });
  });
});

test('what no copy can have is left out and named', async () => {
  makePipes([Buffer.from(path.join(from, 'folder/pipe')), Buffer.from(path.join(from, 'pipe\n2'))]);
  expect((await deploy()).note).toBe('2 sockets, pipes or devices were not copied: folder/pipe, pipe\\n2');
  expect((await deploy(localMachine(), ['pipe*'])).note).toBeUndefined();
});

test('a file that cannot be read is refused by name', async () => {
  await chmod(from, 0o755);
  await chmod(root, 0o755);
  await chmod(path.join(from, 'a'), 0);
  await chmod(path.join(from, 'folder'), 0);
  await asUser(() =>
    expect(deploy()).rejects.toMatchObject({
      code: 'CONFIG_DEPLOY_UNREADABLE',
      message: expect.stringMatching(
        /^\/.*\/from cannot be copied: (folder, a|a, folder) cannot be read \(EACCES: permission denied\)$/,
      ) as string,
    }),
  );
  await chmod(path.join(from, 'folder'), 0o700);
});

test('holes stay holes', async () => {
  await truncate(path.join(from, 'z'), 64 << 20);
  await deploy();
  const { size, blocks } = await lstat(path.join(to, 'z'));
  expect([size, blocks * 512 < 1 << 20]).toEqual([64 << 20, true]);
});

test('the folder may be a link to one', async () => {
  await symlink('from', path.join(root, 'link'));
  const real = from;
  from = path.join(root, 'link');
  await deploy();
  expect(snapshotOf(to)).toEqual(snapshotOf(real));
  expect((await lstat(to)).isDirectory()).toBe(true);
});

test('what is excluded, and the home, stay behind; letters of another case are other names', async () => {
  for (const folder of ['Result', 'result', 'home', 'file', 'folder/home'])
    await mkdir(path.join(from, folder), { recursive: true });
  await writeFile(path.join(from, 'folder/file'), 'a file, no folder');
  const work = { signal: new AbortController().signal, progress: () => undefined };
  await deployTree(localMachine(), { from, to, exclude: ['/result', 'file/', 'a'] }, path.join(from, 'home'), work);
  expect((await readdir(to)).sort()).toEqual(['Result', 'folder', 'z']);
  expect((await readdir(path.join(to, 'folder'))).sort()).toEqual(['b', 'file', 'home']);
});

test('a normal user’s machine: a tree with read-only folders is replaced, and what was left of one cut short', async () => {
  to = path.join(root, 'theirs/to');
  await mkdir(path.join(root, 'theirs'));
  await chmod(root, 0o755);
  const uid = process.geteuid?.() === 0 ? NOBODY : undefined;
  if (uid !== undefined) await chown(path.join(root, 'theirs'), uid, uid);
  await chmod(path.join(from, 'folder'), 0o500);
  const machine = localMachine(undefined, uid);
  await deploy(machine);
  const cut = localMachine((script) => {
    if (isSettling(script)) throw new Error('the connection was lost');
  }, uid);
  await expect(deploy(cut)).rejects.toThrow('the connection was lost');
  await writeFile(path.join(from, 'a'), 'new');
  await deploy(machine);
  expect(await readFile(path.join(to, 'a'), 'utf8')).toBe('new');
  expect((await lstat(path.join(to, 'folder'))).mode & 0o777).toBe(0o500);
});

test('a host without GNU tar is told so', async () => {
  vi.stubEnv('PATH', path.join(root, 'nothing'));
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(deploy()).rejects.toMatchObject({
    code: 'HOST_TOOL_MISSING',
    message: 'GNU tar, which folders are copied with, is not installed',
  });
});

test('a connection that is lost before it takes anything ends tar', async () => {
  await writeFile(path.join(from, 'long'), Buffer.alloc(8 << 20, 'long'));
  const machine = localMachine((script) => {
    if (isUnpacking(script)) throw new Error('the connection was lost');
  });
  await expect(deploy(machine)).rejects.toThrow('the connection was lost');
});

test('it is put where the machine says that the path is', async () => {
  const resolvePath = (absolute: string) => path.join(root, 'mapped', absolute);
  to = '/srv/tree';
  await deploy({ ...localMachine(), resolvePath });
  expect(snapshotOf(path.join(root, 'mapped/srv/tree'))).toEqual(snapshotOf(from));
});
