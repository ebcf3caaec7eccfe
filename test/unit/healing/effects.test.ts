import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { GuestShell } from '../../../src/activities/heal/guest-shell.js';
import { makeChanges, planChanges } from '../../../src/activities/heal/tree-edits.js';
import type { Evidence, HealPlan } from '../../../src/domain/heal.js';
import { CATALOGUE } from '../../../src/healing/catalogue/index.js';
import { hasOrSkip } from '../../contract/requirements.js';
import { probeMounts } from '../../e2e/own-mounts.js';
import { comparesShown, HEALS } from '../../shown.js';
import { toolIsHere } from '../reports/tool.js';
import { evidenceOf, lsblk } from './evidence.js';
import { overlaidHost } from './overlaid-host.js';
import { SITUATIONS } from './situations.js';

/** What heals really do, in the root of a sandbox: commands, commands again, undo. Nothing else of the host changes. */

const shows = comparesShown(HEALS, () => 'files');
const scratch = await mkdtemp(path.join(tmpdir(), 'nixproof-heal-'));
const host = (await hasOrSkip('mounts', { probe: probeMounts })) ? await overlaidHost(scratch) : undefined;
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true });
});
afterEach(async () => expect(await host?.changed()).toEqual(host && []));

let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(scratch, 'root-'));
  for (const folder of ['root', 'etc', 'tmp', 'var/tmp', 'var/log'])
    await mkdir(path.join(root, folder), { recursive: true });
});

const at = (file: string) => path.join(root, file);
const put = async (file: string, content = '') => {
  await mkdir(path.dirname(at(file)), { recursive: true });
  await writeFile(at(file), content);
};
const textOf = (file: string) => readFile(at(file), 'utf8');

interface NamedPlan extends HealPlan {
  readonly name: string;
}

function planOf(name: string, evidence: Evidence | undefined = SITUATIONS[name]?.plans): NamedPlan {
  const plan = evidence && CATALOGUE.find((heal) => heal.name === name)?.plan(evidence);
  if (plan === undefined) throw new Error(`${name} has no plan`);
  return { ...plan, name };
}

interface Ended {
  readonly status: number;
  readonly stderr: string;
}

/** Runs a command as the applier would, in a host whose other files can be written without harm. */
function start(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended & { readonly stdout: string }> {
  const environment = {
    PATH: process.env['PATH'],
    HOME: at('root'),
    NIXPROOF_ROOT: root,
    NIXPROOF_TREE: at('root/config'),
    NIXPROOF_HEAL: '1',
    ...env,
  };
  const [file = '', ...args] = [...(host?.inside ?? []), ...argv];
  return new Promise((resolve) => {
    const child = execFile(file, args, { env: environment, cwd: root }, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

async function run(command: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const { status, stderr } = await start(['sh', '-c', command], env);
  return { status, stderr };
}

const shell: GuestShell = {
  way: 'ssh',
  async exec(argv) {
    const { status, stdout, stderr } = await start(argv);
    return { exitCode: status, stdout, stderr };
  },
};

const DONE: Ended = { status: 0, stderr: '' };

async function apply({ commands }: HealPlan, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  for (const command of commands) {
    const ended = await run(command, env);
    if (ended.status !== 0) return ended;
  }
  return DONE;
}

async function undo(plan: HealPlan): Promise<void> {
  for (const command of plan.undo) expect(await run(command)).toEqual(DONE);
}

/** Applies a heal whose effect the caller looks at: from then on it counts as shown. */
async function applied(plan: NamedPlan, env: NodeJS.ProcessEnv = {}): Promise<void> {
  expect(await apply(plan, env)).toEqual(DONE);
  shows(plan.name);
}

/** Applied twice, as by a worker that died before it could say so, then undone twice. */
async function twice(plan: NamedPlan, effect: () => Promise<void>, without: () => Promise<void>): Promise<void> {
  for (let turn = 0; turn < 2; turn++) {
    await applied(plan);
    await effect();
  }
  for (let turn = 0; turn < 2; turn++) {
    await undo(plan);
    await without();
  }
}

describe('resolvers', () => {
  const plan = () => planOf('use-public-resolvers');
  const isWritten = async () => expect(await textOf('etc/resolv.conf')).toMatch(/^nameserver 1\.1\.1\.1\n/);

  test('are written, and what was there comes back', async () => {
    await put('etc/resolv.conf', 'nameserver 192.0.2.1\n');
    await twice(plan(), isWritten, async () => expect(await textOf('etc/resolv.conf')).toBe('nameserver 192.0.2.1\n'));
  });

  test('are written in the place of a link, which comes back', async () => {
    await symlink('../run/stub-resolv.conf', at('etc/resolv.conf'));
    await twice(plan(), isWritten, async () =>
      expect(await readlink(at('etc/resolv.conf'))).toBe('../run/stub-resolv.conf'),
    );
    expect(existsSync(at('run/stub-resolv.conf'))).toBe(false);
  });

  test('are written where there was nothing', async () => {
    await twice(plan(), isWritten, async () => expect(existsSync(at('etc/resolv.conf'))).toBe(false));
  });
});

describe('Nix', async () => {
  const nix = await toolIsHere('nix', ['--version']);
  const settings = CATALOGUE.filter(({ name }) => planTextOf(name).includes('END-OF-SETTINGS')).map(({ name }) => name);

  function planTextOf(name: string): string {
    return SITUATIONS[name] === undefined ? '' : planOf(name).commands.join('\n');
  }

  const show = async (): Promise<string> => {
    const child = spawn('sh', ['-c', 'nix --extra-experimental-features nix-command show-config'], {
      env: { PATH: process.env['PATH'], HOME: at('root') },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => (text += String(chunk)));
    await once(child, 'close');
    return text;
  };

  /** How Nix shows a setting: an `extra-` one as a part of what it is added to. */
  const patternOf = (line: string) => {
    const [name = '', value = ''] = line.split(/ = ?/);
    const words = value.split(' ').map((word) => `(?=.*${word.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&')})`);
    return line.startsWith('extra-')
      ? new RegExp(`^${name.slice('extra-'.length)} = ${words.join('')}`, 'm')
      : new RegExp(`^${name} = ?${value.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&')} ?$`, 'm');
  };

  test.each(settings)('%s writes its settings, and takes them out again', async (name) => {
    const own = 'root/.config/nix/nix.conf';
    await put(own, 'warn-dirty = false');
    await twice(
      planOf(name),
      async () => {
        const conf = await textOf(own);
        expect(conf.match(new RegExp(`^!include nixproof-${name}\\.conf$`, 'gm'))).toHaveLength(1);
        expect(conf).toMatch(/^warn-dirty = false$/m);
      },
      async () => {
        expect((await textOf(own)).trim()).toBe('warn-dirty = false');
        expect(await readdir(at('root/.config/nix'))).toEqual(['nix.conf']);
      },
    );
  });

  test('reads them', async ({ skip }) => {
    if (!nix) skip('nix is not installed');
    await put('root/.config/nix/nix.conf', 'substituters = https://cache.example.org https://cache.nixos.org/\n');
    const before = await show();
    for (const name of settings) {
      const plan = planOf(name);
      const lines = /END-OF-SETTINGS'\n([^]*?)\nEND-OF-SETTINGS/.exec(plan.commands.join('\n'))?.[1]?.split('\n') ?? [];
      const inEffect = (text: string) => lines.every((line) => patternOf(line).test(text));
      expect({ name, inEffect: inEffect(before) }).toEqual({ name, inEffect: false });
      await applied(plan);
      expect({ name, inEffect: inEffect(await show()) }).toEqual({ name, inEffect: true });
      await undo(plan);
      expect(await show()).toBe(before);
    }
  });

  test('says that something else decides', async ({ skip }) => {
    if (!nix) skip('nix is not installed');
    const [command = ''] = planOf('fewer-build-jobs').commands;
    expect(await run(command, { NIX_CONFIG: 'max-jobs = 4' })).toEqual({
      status: 1,
      stderr: 'something overrides it: max-jobs = 1\n',
    });
  });

  test('forgets its caches, and remembers them again', async () => {
    const plan = planOf('clear-nix-caches');
    expect(await apply(plan)).toEqual({ status: 1, stderr: 'there is no cache\n' });
    await put('root/.cache/nix/binary-cache-v6.sqlite', 'narinfo');
    await twice(
      plan,
      async () => expect(existsSync(at('root/.cache/nix'))).toBe(false),
      async () => expect(await textOf('root/.cache/nix/binary-cache-v6.sqlite')).toBe('narinfo'),
    );
  });
});

describe('space', () => {
  const full = (name: string) => planOf(name);

  test('temporary files go that are older than the installer, and package caches', async () => {
    await put('tmp/old', 'x'.repeat(200_000));
    await put('tmp/systemd-private-1-x.service/tmp/old', 'x');
    await put('var/cache/apt/archives/x.deb', 'x'.repeat(200_000));
    await utimes(at('tmp/old'), 1, 1);
    await utimes(at('tmp/systemd-private-1-x.service/tmp/old'), 1, 1);
    await put('var/lib/nixproof/attempt-1/started', '1');
    await utimes(at('var/lib/nixproof/attempt-1/started'), 1000, 1000);
    await put('tmp/new', 'x');
    await applied(full('remove-temporary-files'));
    expect(existsSync(at('tmp/old'))).toBe(false);
    expect(existsSync(at('var/cache/apt/archives/x.deb'))).toBe(false);
    expect(existsSync(at('tmp/new'))).toBe(true);
    expect(existsSync(at('tmp/systemd-private-1-x.service/tmp/old'))).toBe(true);
  });

  test('logs are rotated: old ones go, long ones are cut to their ends', async () => {
    await put('var/log/syslog.1', 'x'.repeat(100_000));
    await put('var/log/apt/term.log.2.gz', 'x'.repeat(100_000));
    await put('var/log/journal/1/system.journal.1', 'x');
    await put('var/log/long', `${'line\n'.repeat(2_000_000)}the end\n`);
    await put('var/log/short', 'short\n');
    await applied(full('rotate-logs'));
    expect(existsSync(at('var/log/syslog.1'))).toBe(false);
    expect(existsSync(at('var/log/apt/term.log.2.gz'))).toBe(false);
    expect(existsSync(at('var/log/journal/1/system.journal.1'))).toBe(true);
    expect(await textOf('var/log/short')).toBe('short\n');
    const long = await textOf('var/log/long');
    expect(long.length).toBeLessThanOrEqual(65_536);
    expect(long.endsWith('the end\n')).toBe(true);
  });
});

describe('locks', () => {
  const plan = () => planOf('release-stale-locks');

  test('that somebody holds are waited for', async () => {
    await put('var/lib/dpkg/lock-frontend');
    // Held until the heal has begun to wait, by a sleep that says so.
    await put('stub/sleep', '#!/bin/sh\ntouch "$NIXPROOF_ROOT/waited"\nPATH=${PATH#*:} exec sleep "$@"\n');
    await chmod(at('stub/sleep'), 0o755);
    const script = 'echo held; until [ -e waited ]; do sleep 0.1; done; touch released';
    const holder = spawn('sh', ['-c', `exec flock --no-fork var/lib/dpkg/lock-frontend sh -c '${script}'`], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    const gone = once(holder, 'exit');
    await applied(plan(), { PATH: `${at('stub')}:${process.env['PATH'] ?? ''}` });
    expect(existsSync(at('released'))).toBe(true);
    expect(await gone).toEqual([0, null]);
  });

  test('that nobody holds but that are there are put aside, and come back', async () => {
    await put('var/lib/pacman/db.lck');
    await twice(
      plan(),
      async () => expect(existsSync(at('var/lib/pacman/db.lck'))).toBe(false),
      async () => expect(existsSync(at('var/lib/pacman/db.lck'))).toBe(true),
    );
  });

  test('that are none are no reason', async () => {
    await put('var/lib/dpkg/lock-frontend');
    expect(await apply(plan())).toEqual({ status: 1, stderr: 'no lock is held, and none is stale\n' });
  });
});

describe('the rest', () => {
  test('a mount point is made, and removed where it is empty', async () => {
    await applied(planOf('make-the-mount-point'));
    expect(existsSync(at('mnt/boot'))).toBe(true);
    await undo(planOf('make-the-mount-point'));
    expect(existsSync(at('mnt/boot'))).toBe(false);
  });

  test('git reads the tree', async () => {
    const plan = planOf('trust-the-tree');
    await applied(plan);
    expect(await textOf('root/.gitconfig')).toContain(`directory = ${at('root/config')}`);
    await undo(plan);
    expect(await textOf('root/.gitconfig')).not.toContain('directory');
  });

  test('a server that comes back is waited for', async () => {
    let status = 503;
    const server = createServer((_request, response) => {
      response.statusCode = status;
      response.end();
      status = 200;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/nix-cache-info`;
    const evidence = evidenceOf({ log: `error: unable to download '${url}': HTTP error 503` });
    await applied(planOf('wait-for-the-host', evidence));
    expect(status).toBe(200);
  });

  test('the disk that is there is named, in every file of the tree, so that its installer runs', async () => {
    const evidence = evidenceOf({
      log: 'Error: Could not stat device /dev/sda - No such file or directory.',
      probes: { disks: lsblk(['vdb', '', 'disk']) },
      disks: ['/dev/vdb'],
    });
    const plan = planOf('use-the-found-disk', evidence);
    await put('dev/vdb', 'a disk');
    await put(
      'root/config/install.sh',
      '. ./disk.sh && [ "$(cat "$NIXPROOF_ROOT$part")" = "a disk" ] && ! grep -rq /dev/s[d]a .\n',
    );
    await put('root/config/disk.sh', 'part=/dev/sda\n');
    await put('root/config/hosts/one/disko.nix', '{ device = "/dev/sda"; }\n');
    const tree = at('root/config');
    const install = `cd '${tree}' && sh ./install.sh`;
    expect((await run(install)).status).not.toBe(0);
    await makeChanges(shell, tree, await planChanges(shell, tree, plan.edits));
    expect(await run(install)).toEqual(DONE);
    expect(await textOf('root/config/hosts/one/disko.nix')).toBe('{ device = "/dev/vdb"; }\n');
    shows(plan.name);
  });

  test('a server that asks to wait is asked again when it answers', async () => {
    let from: number | undefined;
    const server = createServer((_request, response) => {
      from ??= performance.now();
      // Half a second less than it told: no clock of ours is that much off.
      response.statusCode = performance.now() - from < 500 ? 429 : 200;
      response.setHeader('Retry-After', '1').end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const ask = async () => (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)).status;
    expect(await ask()).toBe(429);
    await applied(planOf('wait-as-told', evidenceOf({ log: 'HTTP error 429: Retry-After: 1' })));
    expect(await ask()).toBe(200);
  });

  test.each(CATALOGUE.map(({ name }) => name))('%s touches no host from a sandbox', async (name) => {
    const guarded = planOf(name).commands.filter((command) => command.includes('not in a sandbox'));
    for (const command of guarded)
      expect(await run(command)).toEqual({ status: 1, stderr: 'not in a sandbox: it would change the host\n' });
  });
});
