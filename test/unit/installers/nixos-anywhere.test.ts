import { execa } from 'execa';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nixosAnywhere } from '../../../src/installers/nixos-anywhere.js';

const install = {
  kind: 'nixos-anywhere',
  flake: '.#vm',
  phases: ['kexec', 'disko', 'install'],
  args: [],
  timeoutMs: 1,
  stallMs: 1,
  reboot: true,
  env: {},
} as const;
const target = {
  endpoint: { host: '192.0.2.7', port: 2222, user: 'root', keyFile: '/home/me/my keys/id' },
  knownHosts: '/scratch/known_hosts',
};

/** Runs the script where `ssh` and `nixos-anywhere` only say what they were given. */
async function run(script: string, says: string, sshStatus = 0) {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-anywhere-unit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const tools = {
    ssh: `printf 'ssh: %s\\n' "$*"; exit ${sshStatus}`,
    'nixos-anywhere': `printf '<%s> ' "$@"; echo\n${says}`,
    'nixproof-phase': 'echo "::PHASE::$*"',
  };
  for (const [name, body] of Object.entries(tools)) {
    await writeFile(path.join(folder, name), `#!/bin/sh\n${body}\n`);
    await chmod(path.join(folder, name), 0o755);
  }
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, TMPDIR: folder };
  const ended = await execa('sh', ['-c', script], { cwd: folder, env, encoding: 'latin1', reject: false });
  return { lines: ended.stdout.split('\n'), code: ended.exitCode, folder };
}

test('it asks the machine under its pinned key, then hands nixos-anywhere its address, port, key and phases', async () => {
  const { lines, code, folder } = await run(
    nixosAnywhere({ ...install, args: ['--option', 'cores', '1 2'] }, target),
    '',
  );
  expect(lines).toEqual([
    '::PHASE::CONNECT',
    'ssh: -p 2222 -i /home/me/my keys/id -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/scratch/known_hosts -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=30 root@192.0.2.7 exit 0',
    '::PHASE::BUILD',
    `<--flake> <path:${folder}#vm> <--target-host> <root@192.0.2.7> <-p> <2222> <--post-kexec-ssh-port> <2222> <-i> </home/me/my keys/id> <--phases> <kexec,disko,install> <--option> <cores> <1 2> `,
  ]);
  expect(code).toBe(0);
});

test('its steps become phases, other steps context, and the rest stays as it is, byte for byte', async () => {
  const said = [
    'building…',
    '### Uploading install SSH keys ###',
    '### Gathering machine facts ###',
    '### Switching system into kexec ###',
    '### Generating facter.json using nixos-facter ###',
    '### Building disko script ###',
    '### Formatting hard drive with disko ###',
    '### Building the system closure ###',
    '### Uploading the system closure ###',
    '### Installing NixOS ###',
    'no ### step ###',
    '### Done! ###',
  ];
  const says = `printf '%s\\n' ${said.map((line) => `'${line}'`).join(' ')} >&2; printf 'bad \\377 utf-8, no newline'`;
  const { lines } = await run(nixosAnywhere(install, target), says);
  expect(lines.slice(4)).toEqual([
    Buffer.from('building…').toString('latin1'),
    '::PHASE::PREPARE',
    '::CONTEXT::Gathering machine facts',
    '::PHASE::KEXEC',
    '::PHASE::HARDWARE_CONFIG',
    '::PHASE::DISKO_BUILD',
    '::PHASE::DISKO',
    '::PHASE::SYSTEM_BUILD',
    '::PHASE::UPLOAD',
    '::PHASE::INSTALL',
    'no ### step ###',
    '::SUCCESS::nixos-anywhere is done',
    'bad \xff utf-8, no newline',
  ]);
});

test('its exit status is the installer’s, and a machine that does not answer ends it before it begins', async () => {
  expect(await run(nixosAnywhere(install, target), 'exit 7')).toMatchObject({ code: 7 });
  const deaf = await run(nixosAnywhere(install, target), '', 255);
  expect(deaf.code).toBe(255);
  expect(deaf.lines).toHaveLength(2);
});

test('what it leaves running with its output is not waited for, and no byte of its own is lost', async () => {
  for (const [last, lines] of [
    ['echo last', ['last']],
    ['printf last', ['last']],
  ] as const) {
    const ended = await run(nixosAnywhere(install, target), `sleep 3000 & echo $! >left; ${last}; exit 7`);
    process.kill(Number(await readFile(path.join(ended.folder, 'left'), 'utf8')), 'SIGKILL');
    expect([ended.lines.slice(4), ended.code]).toEqual([lines, 7]);
  }
});
