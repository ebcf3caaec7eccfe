import path from 'node:path';
import { expect, test } from 'vitest';
import { findConfig, loadConfig } from '../../../src/config/load.js';
import { faultOf, folderWith } from './folder.js';

async function problemsIn(name: string, text: string): Promise<unknown> {
  const cwd = await folderWith({ [name]: text });
  const fault = await faultOf(loadConfig(name, cwd));
  expect(fault.code).toBe('CONFIG_INVALID');
  expect(fault.hint).not.toBe('');
  return fault.details['problems'];
}

const yaml = (body: string) => `profiles:\n  vm:\n    install: { kind: script, run: ./install.sh }\n${body}`;
const PROFILE_NAME = 'a profile name (at most 60 letters, digits, dots, dashes and underscores, no dot or dash first)';
const KINDS = 'run, service, units or reboot';

const BAD_YAML: readonly (readonly [what: string, text: string, problems: readonly string[]])[] = [
  [
    'a misspelt key, without complaining that the right one is missing',
    'profiles:\n  vm:\n    instal: { kind: nixos }\n',
    ['nixproof.yaml:3:5: profiles.vm.instal: unknown key "instal", did you mean "install"?'],
  ],
  [
    'an unknown key that resembles none',
    yaml('    colour: red\n'),
    [
      'nixproof.yaml:4:5: profiles.vm.colour: unknown key "colour", expected base, driver, machine, network, labels, machines, deploy, install, files, checks, timeouts or drills',
    ],
  ],
  [
    'a secret in the place of its source, which is not shown',
    'secrets: { s: hunter2hunter2 }\n' + yaml(''),
    ['nixproof.yaml:1:15: secrets.s: expected a mapping; secrets are not written here, and what was is not shown'],
  ],
  [
    'a network that is none',
    yaml('    network: lan\n'),
    ['nixproof.yaml:4:14: profiles.vm.network: expected internet, none or { host: [PORTS] }, got "lan"'],
  ],
  [
    'a port that is none',
    yaml('    network: { host: [65536] }\n'),
    ['nixproof.yaml:4:23: profiles.vm.network.host[0]: expected a whole number from 1 to 65535, got 65536'],
  ],
  ['a missing key', 'profiles:\n  vm:\n    base: debian\n', ['nixproof.yaml:2:3: profiles.vm: missing key "install"']],
  [
    'files that are put where another one is',
    yaml('    files: [{ from: a, to: /k/a }, { from: b, to: /k//a }, { from: c, to: /k }, { from: d, to: /k.d }]\n'),
    [
      'nixproof.yaml:4:28: profiles.vm.files[0].to: /k is a file (files[2]), so nothing can be below it',
      'nixproof.yaml:4:51: profiles.vm.files[1].to: expected a place of its own: files[0] is put there too',
    ],
  ],
  ['a key without a value', 'profiles:\n  vm:\n', ['nixproof.yaml:2:3: profiles.vm: expected a mapping, got nothing']],
  [
    'a wrong kind',
    'profiles:\n  vm:\n    install: { kind: nixoss, flake: .#vm }\n',
    [
      'nixproof.yaml:3:22: profiles.vm.install.kind: expected "script", "nixos", "nix-check" or "nixos-anywhere", got "nixoss", did you mean "nixos"?',
    ],
  ],
  [
    'no kind',
    'profiles:\n  vm:\n    install: { run: x }\n',
    [
      'nixproof.yaml:3:14: profiles.vm.install.kind: expected "script", "nixos", "nix-check" or "nixos-anywhere", got nothing',
    ],
  ],
  [
    'nixos-anywhere told what the bench does itself',
    'profiles:\n  vm:\n    install:\n      kind: nixos-anywhere\n      flake: .#vm\n      phases: [disko, reboot, instal]\n      args: [-L, --phases, disko]\n',
    [
      'nixproof.yaml:6:23: profiles.vm.install.phases[1]: expected no "reboot": `reboot: true` restarts the machine from its installed disk',
      'nixproof.yaml:6:31: profiles.vm.install.phases[2]: expected "kexec", "disko" or "install", got "instal", did you mean "install"?',
      'nixproof.yaml:7:18: profiles.vm.install.args[1]: expected none of the options that nixproof gives itself, got "--phases"',
    ],
  ],
  [
    'text for the installation',
    'profiles:\n  vm:\n    install: ./install.sh\n',
    ['nixproof.yaml:3:14: profiles.vm.install: expected a mapping, got "./install.sh"'],
  ],
  [
    'a machine where everything is wrong',
    yaml('    machine: { memory: 4G, cpus: 1.5, disks: [20], firmware: efi }\n'),
    [
      'nixproof.yaml:4:24: profiles.vm.machine.memory: expected a whole number of MiB from 128 to 1048576, got "4G"',
      'nixproof.yaml:4:34: profiles.vm.machine.cpus: expected a whole number from 1 to 256, got 1.5',
      'nixproof.yaml:4:47: profiles.vm.machine.disks[0]: expected a size such as 512M or 20G, got 20',
      'nixproof.yaml:4:62: profiles.vm.machine.firmware: expected "uefi" or "bios", got "efi", did you mean "uefi"?',
    ],
  ],
  [
    'no disks, an unknown driver',
    yaml('    driver: qemo\n    machine: { disks: [] }\n'),
    [
      'nixproof.yaml:4:13: profiles.vm.driver: expected "qemu", "libvirt", "ssh" or "sandbox", got "qemo", did you mean "qemu"?',
      'nixproof.yaml:5:23: profiles.vm.machine.disks: expected at least 1 in the list, got an empty list',
    ],
  ],
  [
    'bases',
    [
      'profiles:',
      '  a: { base: nixoss, install: &i { kind: nixos, flake: .#a } }',
      '  b: { base: "iso:https://example.org/a.iso", install: *i }',
      '',
    ].join('\n'),
    [
      'nixproof.yaml:2:14: profiles.a.base: expected nixos, debian, disk:PATH or iso:PATH_OR_URL#SHA256 (the hash only a URL must have), got "nixoss", did you mean "nixos"?',
      'nixproof.yaml:3:14: profiles.b.base: expected the SHA-256 of the image after its URL: iso:URL#SHA256',
    ],
  ],
  [
    'a deployment out of its bounds',
    yaml('    deploy: { to: /etc/../root, exclude: .git }\n'),
    [
      'nixproof.yaml:4:19: profiles.vm.deploy.to: expected an absolute path of a folder in the machine, without “..”, got "/etc/../root"',
      'nixproof.yaml:4:42: profiles.vm.deploy.exclude: expected a list, got ".git"',
    ],
  ],
  [
    'an installation, without showing the values of its environment',
    'profiles:\n  vm:\n    install: { kind: script, run: 3, timeout: 5, stall: soon, env: { A-B: x, PIN: 1234 } }\n',
    [
      'nixproof.yaml:3:35: profiles.vm.install.run: expected a shell command, got 3; put it in quotes',
      'nixproof.yaml:3:47: profiles.vm.install.timeout: expected a duration such as 90s, 15m or 1h30m, got 5',
      'nixproof.yaml:3:57: profiles.vm.install.stall: expected a duration such as 90s, 15m or 1h30m, got "soon"',
      `nixproof.yaml:3:70: profiles.vm.install.env.A-B: expected an environment variable's name (letters, digits and underscores, no digit first), got "A-B"`,
      'nixproof.yaml:3:83: profiles.vm.install.env.PIN: expected text or { secret: NAME }, got a value of type number; put it in quotes',
    ],
  ],
  [
    'machines that exist already',
    [
      'profiles:',
      '  vm: { driver: ssh, machines: [lab-1, lab2], install: { kind: script, run: x } }',
      'machines:',
      '  lab-1: { address: box.example, key: id, disks: [/dev/sda] }',
      '  lab-2: { address: BOX.example, key: id, disks: [/dev/sda] }',
      '',
    ].join('\n'),
    [
      'nixproof.yaml:2:40: profiles.vm.machines[1]: unknown machine "lab2", did you mean "lab-2"?',
      'nixproof.yaml:5:21: machines.lab-2.address: expected an address and port of its own, got those of lab-1',
    ],
  ],
  [
    'what is said of a machine',
    [
      'profiles: { vm: { install: { kind: script, run: x } } }',
      'machines:',
      '  a: { address: -o, port: 0, user: a b, hostKey: AAAA, disks: [sda], key: 7 }',
      '  b: { address: "::1", key: id, disks: [] }',
      '  c: { address: c, key: id, disks: [/dev/sda], hostKeyChangesOnReset: true }',
      '',
    ].join('\n'),
    [
      'nixproof.yaml:3:17: machines.a.address: expected a host name or an IP address, got "-o"',
      'nixproof.yaml:3:27: machines.a.port: expected a whole number from 1 to 65535, got 0',
      'nixproof.yaml:3:36: machines.a.user: expected the name of a user, got "a b"',
      'nixproof.yaml:3:50: machines.a.hostKey: expected an ed25519 host key such as "ssh-ed25519 AAAA…", got "AAAA"',
      'nixproof.yaml:3:64: machines.a.disks[0]: expected an absolute path of a disk in the machine, got "sda"',
      'nixproof.yaml:3:75: machines.a.key: expected the path of a private key, got 7; put it in quotes',
      'nixproof.yaml:4:40: machines.b.disks: expected at least 1 in the list, got an empty list',
      'nixproof.yaml:5:6: machines.c: expected a reset command together with hostKeyChangesOnReset',
    ],
  ],
  [
    'a flake without a host',
    'profiles:\n  vm:\n    install: { kind: nixos, flake: vm }\n',
    ['nixproof.yaml:3:36: profiles.vm.install.flake: expected a flake reference such as .#vm, got "vm"'],
  ],
  [
    'checks',
    yaml(
      [
        '    checks:',
        '      - {}',
        '      - { run: "true", service: sshd }',
        '      - { servce: sshd }',
        '      - { service: sshd, expect: active }',
        '      - sshd',
        '      - { run: date, match: "(" }',
        '      - { units: dirty }',
        '      - { reboot: 0 }',
        '      - { run: echo 1, expect: 1 }',
        '      - { run: id, user: alice }',
        '      - { service: -v }',
        '      - { run: id, expect: a, match: b }',
        '',
      ].join('\n'),
    ),
    [
      `nixproof.yaml:5:9: profiles.vm.checks[0]: expected one of ${KINDS}, got none`,
      `nixproof.yaml:6:9: profiles.vm.checks[1]: expected exactly one of ${KINDS}, got run and service`,
      'nixproof.yaml:7:11: profiles.vm.checks[2].servce: unknown key "servce", did you mean "service"?',
      'nixproof.yaml:8:26: profiles.vm.checks[3].expect: unknown key "expect", expected service, name, user or key',
      `nixproof.yaml:9:9: profiles.vm.checks[4]: expected a mapping with one of ${KINDS}, got "sshd"`,
      'nixproof.yaml:10:29: profiles.vm.checks[5].match: expected a regular expression, got “(” at character 1: missing closing )',
      'nixproof.yaml:11:18: profiles.vm.checks[6].units: expected "clean", got "dirty"',
      'nixproof.yaml:12:19: profiles.vm.checks[7].reboot: expected a whole number from 1 to 20, got 0',
      'nixproof.yaml:13:32: profiles.vm.checks[8].expect: expected text, got 1; put it in quotes',
      'nixproof.yaml:14:9: profiles.vm.checks[9]: expected user and key together, got only one of them',
      'nixproof.yaml:15:20: profiles.vm.checks[10].service: expected the name of a service, got "-v"',
      'nixproof.yaml:16:9: profiles.vm.checks[11]: expected one of expect and match, got both',
    ],
  ],
  [
    "profiles' names",
    'profiles:\n  -vm: &p { install: { kind: script, run: x } }\n  a/b: *p\n',
    [
      `nixproof.yaml:2:3: profiles["-vm"]: expected ${PROFILE_NAME}, got "-vm"`,
      `nixproof.yaml:3:3: profiles["a/b"]: expected ${PROFILE_NAME}, got "a/b"`,
    ],
  ],
  ['no profiles', 'profiles: {}\n', ['nixproof.yaml:1:11: profiles: expected at least one profile, got none']],
  [
    'healing',
    yaml(
      [
        'healing:',
        '  policy: aut',
        '  threshold: 2',
        '  max: -1',
        '  heals:',
        '    - { name: a, for: netwrk.http, confidence: 3 }',
        '    - { name: b, for: network.http, config: { ../x: y } }',
        '    - { name: c, for: network.http, run: reboot, resume: never }',
        '    - { name: d, for: network.http }',
        '',
      ].join('\n'),
    ),
    [
      'nixproof.yaml:5:11: healing.policy: expected "auto", "race", "ask" or "never", got "aut", did you mean "auto"?',
      'nixproof.yaml:6:14: healing.threshold: expected a number from 0 to 1, got 2',
      'nixproof.yaml:7:8: healing.max: expected a whole number from 0 to 100, got -1',
      'nixproof.yaml:9:23: healing.heals[0].for: expected a failure class such as network.http, got "netwrk.http", did you mean "network.http"?',
      'nixproof.yaml:9:48: healing.heals[0].confidence: expected a number from 0 to 1, got 3',
      'nixproof.yaml:10:47: healing.heals[1].config["../x"]: expected a path within the deployed folder, without “..”, got "../x"',
      'nixproof.yaml:11:42: healing.heals[2].run: expected a list, got "reboot"',
      'nixproof.yaml:11:58: healing.heals[2].resume: expected "phase" or "rerun", got "never"',
      'nixproof.yaml:12:7: healing.heals[3]: expected something to do: run or config',
    ],
  ],
  [
    'two heals of one name',
    yaml('healing:\n  heals:\n    - { name: a, for: disk.full, run: [x] }\n    - { name: a, for: kexec, run: [x] }\n'),
    ['nixproof.yaml:7:15: healing.heals[1].name: expected a name of its own, got "a" again'],
  ],
  ['an empty file', '', ['nixproof.yaml:1:1: the file is empty, expected profiles']],
  ['a file of comments', '# later\n', ['nixproof.yaml:1:1: the file is empty, expected profiles']],
  ['a list', '- vm\n', ['nixproof.yaml:1:1: expected a mapping, got a list']],
  ['a word', 'vm\n', ['nixproof.yaml:1:1: expected a mapping, got "vm"']],
  [
    'duplicate keys',
    'profiles: 1\nprofiles: 2\n',
    ['nixproof.yaml:2:1: the key profiles stands here for the second time'],
  ],
  [
    'an alias without its anchor',
    'profiles:\n  vm: *base\n',
    ['nixproof.yaml:2:7: unresolved alias (the anchor must be set before the alias): base'],
  ],
  ['a tab', 'profiles:\n\tvm: 1\n', ['nixproof.yaml:2:1: indented by a tab, expected spaces']],
  ['two documents', 'a: b\n---\nc: d\n', ['nixproof.yaml:2:1: a second document begins here, expected one']],
  [
    'broken YAML',
    'profiles:\n  vm: [\n',
    [
      'nixproof.yaml:3:1: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ],
];

test.each(BAD_YAML)('YAML with %s', async (_, text, problems) => {
  expect(await problemsIn('nixproof.yaml', text)).toEqual(problems);
});

test('aliases that would fill the memory are refused', async () => {
  const rows = Array.from({ length: 9 }, (_, row) => `a${row + 1}: &a${row + 1} [${`*a${row},`.repeat(9)}]`);
  expect(await problemsIn('nixproof.yaml', ['a0: &a0 [x]', ...rows, ''].join('\n'))).toEqual([
    'nixproof.yaml:1:1: excessive alias count indicates a resource exhaustion attack',
  ]);
});

test('the message is the first problem and how many more there are', async () => {
  const cwd = await folderWith({ 'nixproof.yaml': 'profile:\n  vm: 1\nhealing: 1\nx: 1\n' });
  const fault = await faultOf(loadConfig('nixproof.yaml', cwd));
  expect(fault.message).toBe(
    'nixproof.yaml:1:1: profile: unknown key "profile", did you mean "profiles"? (and 2 more problems)',
  );
});

test('JSON is read with positions too', async () => {
  expect(await problemsIn('nixproof.json', '{\n\t"profiles": {\n\t\t"vm": { "instal": 1 }\n\t}\n}\n')).toEqual([
    'nixproof.json:3:11: profiles.vm.instal: unknown key "instal", did you mean "install"?',
  ]);
  expect(await problemsIn('nixproof.json', '{ "profiles": { "vm": }')).toEqual([
    'nixproof.json:1:24: not valid YAML: Flow map must end with a }',
  ]);
});

test.each([
  ['export default {\n  profiles: ,\n};\n', ['nixproof.ts:2:13: cannot be loaded: Unexpected token']],
  ['throw new Error("no such host");\n', ['nixproof.ts: cannot be loaded: no such host']],
  [
    'export const config = {};\n',
    ['nixproof.ts: expected a default export such as `export default defineConfig({ … })`, got none'],
  ],
  [
    'export default { profiles: { vm: { instal: 1 } }, x: 1 };\n',
    [
      'nixproof.ts: profiles.vm.instal: unknown key "instal", did you mean "install"?',
      'nixproof.ts: x: unknown key "x", expected $schema, profiles, machines, secrets or healing',
    ],
  ],
  ['export default () => 1;\n', ['nixproof.ts: expected a mapping, got a function']],
])('TypeScript: %j', async (text, problems) => {
  expect(await problemsIn('nixproof.ts', text)).toEqual(problems);
});

const GOOD = 'profiles: { vm: { install: { kind: nixos, flake: .#vm } } }';
const IMPORTING = `import { defineConfig } from 'nixproof';
import { host } from './host';
const config = defineConfig({ profiles: { [host]: { install: { kind: 'nixos', flake: '.#' + host } } } });
export default config;
`;
test.each([
  ['nixproof.yaml', GOOD],
  ['nixproof.yaml', `\uFEFF${GOOD}`],
  ['nixproof.yml', GOOD.replaceAll('\n', '\r\n')],
  ['nixproof.json', '{"$schema":"./s.json","profiles":{"vm":{"install":{"kind":"nixos","flake":".#vm"}}}}'],
  ['nixproof.ts', IMPORTING],
  ['nixproof.mts', IMPORTING],
  ['nixproof.js', IMPORTING],
  ['nixproof.mjs', IMPORTING],
  ['nixproof.js', `module.exports = { profiles: { vm: { install: { kind: 'nixos', flake: '.#vm' } } } };\n`],
])('%s is loaded: %j', async (name, text) => {
  const cwd = await folderWith({ [name]: text, 'host.ts': `export const host: string = 'vm';\n` });
  const { file, folder, config } = await loadConfig(name, cwd);
  expect({ file, folder }).toEqual({ file: path.join(cwd, name), folder: cwd });
  expect(Object.keys(config.profiles)).toEqual(['vm']);
  expect(config.profiles['vm']?.install).toMatchObject({ kind: 'nixos', flake: '.#vm', disko: true, reboot: true });
});

test('anchors, aliases and merged keys share settings', async () => {
  const text = [
    'profiles:',
    '  a: &a { base: debian, install: { kind: script, run: ./a.sh } }',
    '  b: { <<: *a, base: nixos }',
    '  c: *a',
    '',
  ].join('\n');
  const { config } = await loadConfig('nixproof.yaml', await folderWith({ 'nixproof.yaml': text }));
  expect(Object.values(config.profiles).map(({ base }) => base)).toEqual(['debian', 'nixos', 'debian']);
});

test('a configuration that is not there, or no file', async () => {
  const cwd = await folderWith({ 'folder/x': '' });
  for (const name of ['no.yaml', 'no.ts', 'folder/x/no.yaml']) {
    const fault = await faultOf(loadConfig(name, cwd));
    expect([fault.code, fault.message]).toEqual(['CONFIG_NOT_FOUND', `there is no ${name}`]);
  }
  const fault = await faultOf(loadConfig('folder', cwd));
  expect([fault.code, fault.message]).toEqual(['CONFIG_NOT_FOUND', 'folder is not a file']);
});

test('the nearest configuration upwards is found, yaml before the others', async () => {
  const cwd = await folderWith({
    'nixproof.json': '',
    'a/nixproof.ts': '',
    'a/nixproof.yaml': '',
    'a/b/c/x': '',
    'd/nixproof.yaml/x': '',
  });
  expect(await findConfig(path.join(cwd, 'a/b/c'))).toBe(path.join(cwd, 'a/nixproof.yaml'));
  expect(await findConfig(path.join(cwd, 'd'))).toBe(path.join(cwd, 'nixproof.json'));
});

test('heals stand in files of a folder, too, each with a name of its own', async () => {
  const heal = (name: string) => `name: ${name}\nfor: network.http\nrun: [use-the-mirror]\n`;
  const cwd = await folderWith({
    'nixproof.yaml': yaml('healing: { from: heals, heals: [{ name: inline, for: disk.full, run: [x] }] }'),
    'heals/b.yaml': heal('second'),
    'heals/a.json': '{ "name": "first", "for": "network.dns", "config": { "a": "b" } }',
    'heals/notes.md': 'no heal',
  });
  const { config } = await loadConfig('nixproof.yaml', cwd);
  expect(config.healing.heals.map(({ name, confidence }) => `${name} ${confidence}`)).toEqual([
    'inline 0.8',
    'first 0.8',
    'second 0.8',
  ]);
});

test.each([
  [
    'heals/a.yaml',
    'name: x\nfor: network.htp\nrun: [y]\n',
    'heals/a.yaml:2:6: for: expected a failure class such as network.http, got "network.htp", did you mean "network.http"?',
  ],
  [
    'heals/a.yaml',
    'name: taken\nfor: network.http\nrun: [y]\n',
    'heals/a.yaml: name: expected a name of its own, got "taken" again',
  ],
  ['heals/a.yaml', '', 'heals/a.yaml:1:1: the file is empty, expected a heal'],
])('a wrong heal of a folder is named with its file: %s', async (file, text, problem) => {
  const cwd = await folderWith({
    'nixproof.yaml': yaml('healing: { from: heals, heals: [{ name: taken, for: disk.full, run: [x] }] }'),
    [file]: text,
  });
  const fault = await faultOf(loadConfig('nixproof.yaml', cwd));
  expect(fault.details['problems']).toEqual([problem]);
});

test('a folder of heals that is not there is named', async () => {
  const cwd = await folderWith({ 'nixproof.yaml': yaml('healing: { from: heals }') });
  await expect(loadConfig('nixproof.yaml', cwd)).rejects.toMatchObject({
    code: 'CONFIG_NOT_FOUND',
    message: 'healing.from: there is no folder heals',
  });
});
