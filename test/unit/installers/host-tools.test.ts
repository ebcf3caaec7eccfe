import { access, chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Installation, Profile } from '../../../src/domain/profile.js';
import { layoutOf } from '../../../src/host/paths.js';
import { guestAttempt, startInstaller, type Start } from '../../../src/installers/installer.js';
import type { Machine, Work } from '../../../src/machines/machine.js';
import { createSandboxDriver } from '../../../src/machines/sandbox/driver.js';

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const SHAPE = { memoryMiB: 64, cpus: 1, diskBytes: [], firmware: 'bios' } as const;
const LIMITS = { timeoutMs: 60_000, stallMs: 60_000, reboot: false } as const;

let home: string;
let machine: Machine;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'nixproof-host-tools-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await machine[Symbol.asyncDispose]();
  await createSandboxDriver({ layout: layoutOf(home) }).destroy('vm-1', work);
  await rm(home, { recursive: true });
});

async function program(folder: string, name: string, body: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, name), `#!/bin/sh\n${body}\n`);
  await chmod(path.join(folder, name), 0o755);
}

/** Makes the sandbox, starts the installer in it, and waits for its end. */
async function logOf(install: Installation, more: Partial<Start> = {}): Promise<string> {
  machine = await createSandboxDriver({ layout: layoutOf(home) }).create(
    { id: 'vm-1', base: undefined, shape: SHAPE },
    work,
  );
  // As a deployed tree may bring it, in the first folder of the sandbox's PATH.
  await program(machine.resolvePath('/usr/local/bin'), 'nix', `touch ${home}/repository-ran`);
  await program(machine.resolvePath('/var/lib/nixproof/bin'), 'nix', `touch ${home}/repository-ran`);
  const profile = { name: 'vm', machine: SHAPE, deploy: { to: '/root' }, install } as unknown as Profile;
  const start: Start = { attempt: 1, barrier: false, target: machine, ...more };
  await startInstaller(machine, await machine.connect(work), profile, start);
  const guest = guestAttempt(machine, 1);
  await vi.waitFor(() => access(guest.status), 20_000);
  return readFile(guest.log, 'utf8');
}

const nixCheck = (env: Readonly<Record<string, string>>): Installation => ({
  kind: 'nix-check',
  flake: '.#x',
  env,
  ...LIMITS,
});

describe('kind nix-check', () => {
  test('runs the host’s own Nix and its helpers, whatever PATH and the deployed tree have', async () => {
    const repository = path.join(home, 'repository');
    await program(repository, 'nix', `touch ${home}/repository-ran`);
    await program(repository, 'git', `touch ${home}/repository-ran`);
    await program(repository, 'helper-of-mine', 'echo a helper of mine');
    await program(path.join(home, 'host'), 'nix', 'git; helper-of-mine; echo the nix of the host');
    await program(path.join(home, 'host'), 'git', 'echo the git of the host');
    vi.stubEnv('PATH', `.:${home}/host:${process.env['PATH'] ?? ''}`);
    const log = await logOf(nixCheck({ PATH: `${repository}:/usr/bin` }));
    expect(log).toContain('the git of the host\na helper of mine\nthe nix of the host\n');
    await expect(access(`${home}/repository-ran`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('takes no other Nix where the host has none', async () => {
    await program(path.join(home, 'repository'), 'nix', `touch ${home}/repository-ran`);
    const folders = (process.env['PATH'] ?? '').split(':');
    const without = [];
    for (const folder of folders) {
      if (!(await stat(path.join(folder, 'nix')).catch(() => undefined))) without.push(folder);
    }
    vi.stubEnv('PATH', without.join(':'));
    await expect(logOf(nixCheck({ PATH: `${home}/repository` }))).rejects.toMatchObject({ code: 'HOST_TOOL_MISSING' });
    await expect(access(`${home}/repository-ran`)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('secret variables', () => {
  const script = (run: string): Installation => ({ kind: 'script', run, env: { PLAIN: 'p' }, ...LIMITS });

  test('are the installer’s, and in no file and no script when it begins', async () => {
    const secret = `it's "a"\nsecret $HOME`;
    const files = 'ls "$NIXPROOF_ROOT/var/lib/nixproof/attempt-1"; grep -c secret "$0"';
    const log = await logOf(script(`printf '<%s>\\n' "$TOKEN" "$PLAIN"; ${files}`), { environment: { TOKEN: secret } });
    expect(log).toContain(`<${secret}>\n<p>\n`);
    expect(log).not.toContain('secrets.env');
    const { folder } = guestAttempt(machine, 1);
    expect(await readFile(path.join(folder, 'install.sh'), 'utf8')).not.toContain('$HOME');
    await expect(access(path.join(folder, 'secrets.env'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('replace none of nixproof’s own', async () => {
    const log = await logOf(script('echo "$NIXPROOF_PROFILE"'), { environment: { NIXPROOF_PROFILE: 'another' } });
    expect(log).toBe('vm\n');
  });

  test('started again, the attempt leaves no file with them', async () => {
    const start = { environment: { TOKEN: 'a secret' } };
    await logOf(script('true'), start);
    const profile = {
      name: 'vm',
      machine: SHAPE,
      deploy: { to: '/root' },
      install: script('true'),
    } as unknown as Profile;
    const connection = await machine.connect(work);
    await startInstaller(machine, connection, profile, { attempt: 1, barrier: false, target: machine, ...start });
    const { folder } = guestAttempt(machine, 1);
    await expect(access(path.join(folder, 'secrets.env'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
