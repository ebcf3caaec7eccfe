import { homedir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { resolveProfiles, type ResolveOptions } from '../../../src/config/resolve.js';
import { faultOf, folderWith } from './folder.js';

async function resolveYaml(text: string, names: readonly string[] = [], options: ResolveOptions = {}) {
  const cwd = await folderWith({ 'nixproof.yaml': text, 'sub/x': '', 'keys/id': 'secret' });
  const loaded = await loadConfig('nixproof.yaml', cwd);
  return { cwd, profiles: await resolveProfiles(loaded, names, { env: {}, cwd, ...options }) };
}

const SCRIPT = 'install: { kind: script, run: ./install.sh }';
const NIXOS = 'install: { kind: nixos, flake: .#vm }';
const TWO = `profiles:\n  vm: { ${NIXOS} }\n  server: { ${SCRIPT} }\n`;
const healing = { policy: 'auto', threshold: 0.6, max: 3, askMs: 3_600_000, heals: [] };

test('only install is required: the rest has defaults', async () => {
  const { cwd, profiles } = await resolveYaml(TWO);
  const common = {
    deploy: { from: cwd, to: '/root/config', exclude: ['.git', '/result', '/result-*', '.direnv', 'node_modules'] },
    checks: [],
    healing,
  };
  const machine = { cpus: 2, diskBytes: [20 * 2 ** 30], firmware: 'uefi' };
  const limits = { timeoutMs: 7_200_000, stallMs: 900_000, maxLogBytes: 4 * 2 ** 30, reboot: true, env: {} };
  expect(profiles).toEqual([
    {
      name: 'vm',
      base: 'nixos',
      machine: { memoryMiB: 4096, ...machine },
      install: { kind: 'nixos', flake: '.#vm', disko: true, ...limits },
      ...common,
    },
    {
      name: 'server',
      machine: { memoryMiB: 2048, ...machine },
      install: { kind: 'script', run: './install.sh', ...limits },
      ...common,
    },
  ]);
});

const FULL = `
profiles:
  vm:
    base: disk:images/base.qcow2
    driver: qemu
    machine: { memory: 1024, cpus: 4, disks: [10G, 512M], firmware: bios }
    deploy: { from: sub, to: /srv/config, exclude: [] }
    install: { kind: script, run: ./install.sh, timeout: 1h30m, stall: 90s, maxLog: 512M, reboot: false, env: { DEBUG: "1" } }
    checks:
      - { name: root is btrfs, run: findmnt -no FSTYPE /, expect: btrfs }
      - { run: "uname  -r", match: ^6, user: alice, key: keys/id }
      - { service: sshd }
      - { units: clean }
      - { reboot: 1 }
      - { reboot: 2 }
healing:
  policy: ask
  threshold: 0.8
  max: 1
  ask: 10m
  heals:
    - { name: use-the-mirror, for: network.http, run: ["true"] }
`;

test('everything said', async () => {
  const { cwd, profiles } = await resolveYaml(FULL);
  const heal = { confidence: 0.8, config: {}, undo: [], resume: 'phase' };
  expect(profiles).toEqual([
    {
      name: 'vm',
      base: `disk:${cwd}/images/base.qcow2`,
      driver: 'qemu',
      machine: { memoryMiB: 1024, cpus: 4, diskBytes: [10 * 2 ** 30, 512 * 2 ** 20], firmware: 'bios' },
      deploy: { from: path.join(cwd, 'sub'), to: '/srv/config', exclude: [] },
      install: {
        kind: 'script',
        run: './install.sh',
        timeoutMs: 5_400_000,
        stallMs: 90_000,
        maxLogBytes: 2 ** 29,
        reboot: false,
        env: { DEBUG: '1' },
      },
      checks: [
        { name: 'root is btrfs', kind: 'run', run: 'findmnt -no FSTYPE /', expect: 'btrfs' },
        {
          name: 'uname -r',
          kind: 'run',
          run: 'uname  -r',
          match: '^6',
          login: { user: 'alice', key: path.join(cwd, 'keys/id') },
        },
        { name: 'sshd is active', kind: 'service', service: 'sshd' },
        { name: 'no failed units', kind: 'units' },
        { name: 'survives a reboot', kind: 'reboot', times: 1 },
        { name: 'survives 2 reboots', kind: 'reboot', times: 2 },
      ],
      healing: {
        policy: 'ask',
        threshold: 0.8,
        max: 1,
        askMs: 600_000,
        heals: [{ name: 'use-the-mirror', for: 'network.http', run: ['true'], ...heal }],
      },
    },
  ]);
});

test('profiles come in the order in which they are named, each once', async () => {
  const { profiles } = await resolveYaml(TWO, ['server', 'vm', 'server']);
  expect(profiles.map(({ name }) => name)).toEqual(['server', 'vm']);
});

test('the environment wins over the file, flags over the environment', async () => {
  const env = {
    VM_MEMORY: '512',
    VM_DISK_SIZE: '5G',
    VM_NETWORK: 'lab',
    MAX_HEALING_ATTEMPTS: '7',
    HEALING_ENABLED: 'false',
  };
  const { profiles: fromEnvironment } = await resolveYaml(FULL, [], { env });
  expect(fromEnvironment[0]).toMatchObject({
    machine: { memoryMiB: 512, diskBytes: [5 * 2 ** 30, 5 * 2 ** 30], libvirtNetwork: 'lab' },
    healing: { policy: 'never', max: 7 },
  });
  const flags = { driver: 'libvirt', base: 'disk:b.img', heal: 'auto', maxHeals: 2 } as const;
  const { cwd, profiles: fromFlags } = await resolveYaml(FULL, [], { env, flags });
  expect(fromFlags[0]).toMatchObject({
    driver: 'libvirt',
    base: `disk:${cwd}/b.img`,
    healing: { policy: 'auto', max: 2 },
  });
});

test.each([
  { file: undefined, env: undefined, accelerator: undefined },
  { file: 'kvm', env: undefined, accelerator: 'kvm' },
  { file: 'kvm', env: 'tcg', accelerator: 'tcg' },
  { file: 'kvm', env: 'auto', accelerator: undefined },
])('accelerator $file in the file and $env in the environment: $accelerator', async ({ file, env, accelerator }) => {
  const machine = file === undefined ? '{}' : `{ accelerator: ${file} }`;
  const yaml = `profiles:\n  vm:\n    machine: ${machine}\n    install: { kind: script, run: ./i.sh }\n`;
  const { profiles } = await resolveYaml(yaml, [], { env: { NIXPROOF_ACCELERATOR: env } });
  expect(profiles[0]?.machine.accelerator).toBe(accelerator);
});

test('the network `user` is user-mode networking, which is what a machine has anyway', async () => {
  const { profiles } = await resolveYaml(TWO, ['vm'], { env: { VM_NETWORK: 'user' } });
  expect(profiles[0]?.machine).not.toHaveProperty('libvirtNetwork');
});

test.each([
  ['auto', 'true', 'auto'],
  ['ask', 'true', 'ask'],
  ['never', 'true', 'auto'],
  ['ask', 'false', 'never'],
])('policy %s with HEALING_ENABLED=%s is %s', async (policy, enabled, result) => {
  const text = `${TWO}healing: { policy: ${policy} }\n`;
  const { profiles } = await resolveYaml(text, ['vm'], { env: { HEALING_ENABLED: enabled } });
  expect(profiles[0]?.healing.policy).toBe(result);
});

const HASH = 'a'.repeat(64);
test.each([
  ['debian', 'debian'],
  ['disk:~/base.img', `disk:${homedir()}/base.img`],
  ['disk:/base.img', 'disk:/base.img'],
  [`iso:/nixos.iso#${HASH}`, `iso:/nixos.iso#${HASH}`],
  [`iso:https://example.org/nixos.iso#${HASH}`, `iso:https://example.org/nixos.iso#${HASH}`],
])('the base %s is %s', async (written, base) => {
  const { profiles } = await resolveYaml(TWO, ['vm'], { flags: { base: written } });
  expect(profiles[0]?.base).toBe(base);
});

test('a driver that boots nothing has no base by default', async () => {
  const { profiles } = await resolveYaml(TWO, ['vm'], { flags: { driver: 'sandbox' } });
  expect(profiles[0]).not.toHaveProperty('base');
});

const WRONG: readonly (readonly [text: string, names: readonly string[], options: ResolveOptions, fault: object])[] = [
  [
    TWO,
    ['servr'],
    {},
    {
      code: 'CONFIG_UNKNOWN_PROFILE',
      message: 'there is no profile "servr" in nixproof.yaml, did you mean "server"?',
      hint: 'name one of these: vm, server',
      details: { profile: 'servr', profiles: ['vm', 'server'] },
    },
  ],
  [
    TWO,
    ['constructor'],
    {},
    { code: 'CONFIG_UNKNOWN_PROFILE', message: 'there is no profile "constructor" in nixproof.yaml' },
  ],
  [
    `profiles: { vm: { deploy: { from: nowhere }, ${SCRIPT} } }`,
    [],
    {},
    { code: 'CONFIG_DEPLOY_MISSING', message: 'profile vm: deploy.from does not exist: nowhere' },
  ],
  [
    `profiles: { vm: { deploy: { from: nixproof.yaml }, ${SCRIPT} } }`,
    [],
    {},
    { code: 'CONFIG_DEPLOY_MISSING', message: 'profile vm: deploy.from is not a folder: nixproof.yaml' },
  ],
  [
    `profiles: { vm: { ${SCRIPT}, checks: [{ run: id, user: alice, key: keys/none }] } }`,
    [],
    {},
    { code: 'CONFIG_KEY_MISSING', message: 'profile vm, check “id”: there is no key keys/none' },
  ],
  [
    `profiles: { vm: { ${SCRIPT}, files: [{ from: keys/none, to: /k }] } }`,
    [],
    {},
    { code: 'CONFIG_FILES', message: 'profile vm, file /k: keys/none does not exist' },
  ],
  [
    `profiles: { vm: { ${SCRIPT}, files: [{ from: ., to: /k }] } }`,
    [],
    {},
    { code: 'CONFIG_FILES', message: expect.stringMatching(/^profile vm, file \/k: .* is no file$/) as string },
  ],
  [
    TWO,
    [],
    { flags: { base: 'debain' } },
    {
      code: 'CONFIG_FLAG',
      message:
        '--base: expected nixos, debian, disk:PATH or iso:PATH_OR_URL#SHA256 (the hash only a URL must have), got "debain", did you mean "debian"?',
    },
  ],
  [TWO, [], { env: { VM_MEMORY: 'lots' } }, { code: 'CONFIG_ENVIRONMENT' }],
];

test.each(WRONG)('%s %j %j is refused', async (text, names, options, fault) => {
  expect(await faultOf(resolveYaml(text, names, options))).toMatchObject(fault);
});

/** The example of docs/cli.md, as users copy it. */
const DOCUMENTED = `
profiles:
  vm:
    base: nixos                      # nixos | debian | disk:PATH | iso:PATH_OR_URL#sha256
    machine: { memory: 4096, cpus: 2, disks: [20G], firmware: uefi }
    deploy: { from: ., to: /root/config, exclude: [.git] }
    install: { kind: nixos, flake: .#vm, disko: true }
    checks:
      - { name: root is btrfs, run: findmnt -no FSTYPE /, expect: btrfs }
      - { name: sshd is active, service: sshd }
      - { name: no failed units, units: clean }
healing:
  policy: auto
  threshold: 0.6
  max: 3
  heals:
    - name: use-the-mirror
      for: network.http
      confidence: 0.8
      run: ["sed -i s/deb.example/mirror.example/ /etc/apt/sources.list"]
      config: { "hosts/vm/mirror.nix": "…" }
      undo: ["…"]
      resume: phase
`;

test('the documented example is valid', async () => {
  const { profiles } = await resolveYaml(DOCUMENTED);
  expect(profiles[0]).toMatchObject({ name: 'vm', base: 'nixos', deploy: { exclude: ['.git'] } });
  expect(profiles[0]?.healing.heals[0]?.config).toEqual({ 'hosts/vm/mirror.nix': '…' });
});

const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const LAB = `
profiles:
  any: { driver: ssh, ${NIXOS} }
  one: { driver: ssh, machines: [box], machine: { disks: [1G, 1G] }, ${SCRIPT} }
  many: { driver: ssh, machine: { disks: [1G, 1G, 1G] }, ${SCRIPT} }
  vm: { ${SCRIPT} }
machines:
  box:
    { address: 10.0.0.7, key: keys/id, hostKey: ${KEY} root@box, disks: [/dev/sda, /dev/sdb], reset: ./reset, commandTimeout: 1m }
  cloud: { address: c.example, port: 2222, user: admin, key: keys/id, disks: [/dev/vda], start: on, stop: off, ready: ask }
`.replace('start: on, stop: off', 'start: "on", stop: "off"');

test('profiles of the ssh driver have their machines, complete', async () => {
  const { cwd, profiles } = await resolveYaml(LAB, ['any', 'one', 'vm']);
  const box = {
    name: 'box',
    address: '10.0.0.7',
    port: 22,
    user: 'root',
    key: path.join(cwd, 'keys/id'),
    hostKey: KEY,
    hostKeyChangesOnReset: false,
    disks: ['/dev/sda', '/dev/sdb'],
    commands: { reset: './reset' },
    folder: cwd,
    commandTimeoutMs: 60_000,
    bootTimeoutMs: 600_000,
  };
  const cloud = {
    name: 'cloud',
    address: 'c.example',
    port: 2222,
    user: 'admin',
    key: path.join(cwd, 'keys/id'),
    hostKeyChangesOnReset: false,
    disks: ['/dev/vda'],
    commands: { start: 'on', stop: 'off', ready: 'ask' },
    folder: cwd,
    commandTimeoutMs: 900_000,
    bootTimeoutMs: 600_000,
  };
  expect(profiles.map(({ base, hosts }) => ({ base, hosts }))).toEqual([
    { base: undefined, hosts: [box, cloud] },
    { base: undefined, hosts: [box] },
    { base: undefined, hosts: undefined },
  ]);
});

test('a profile of the ssh driver without a machine for it is refused', async () => {
  expect(await faultOf(resolveYaml(LAB, ['many']))).toMatchObject({
    code: 'CONFIG_MACHINES_MISSING',
    message: 'profile many asks for 3 disks, and none of its machines has so many',
  });
  expect(await faultOf(resolveYaml(TWO, ['server'], { flags: { driver: 'ssh' } }))).toMatchObject({
    code: 'CONFIG_MACHINES_MISSING',
    message: 'profile server is driven by ssh, but the configuration has no machines',
    hint: 'add a machine with its address, key and disks under `machines:`',
  });
  expect(await faultOf(resolveYaml(LAB.replaceAll('keys/id', 'keys/none'), ['any']))).toMatchObject({
    code: 'CONFIG_KEY_MISSING',
    message: 'machine box: there is no key keys/none',
  });
});

test('nixos-anywhere installs what kind nixos would boot, in all its phases but the last', async () => {
  const text = 'profiles:\n  vm: { install: { kind: nixos-anywhere, flake: .#vm } }\n';
  const { profiles } = await resolveYaml(text);
  expect(profiles[0]).toMatchObject({
    base: 'nixos',
    machine: { memoryMiB: 4096 },
    install: { phases: ['kexec', 'disko', 'install'], args: [], reboot: true },
  });
  const inSandbox = await resolveYaml(text, [], { flags: { driver: 'sandbox' } });
  expect(inSandbox.profiles[0]?.base).toBeUndefined();
});
