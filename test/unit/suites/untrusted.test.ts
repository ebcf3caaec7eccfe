import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { configJsonSchema } from '../../../src/config/json-schema.js';
import { openConfig } from '../../../src/config/open.js';
import { NixproofError } from '../../../src/domain/error.js';
import type { Profile } from '../../../src/domain/profile.js';
import type { ProfileChoice } from '../../../src/domain/schedule.js';
import { excluding } from '../../../src/host/tree/exclude.js';
import { layoutOf } from '../../../src/host/paths.js';
import { createRegistry } from '../../../src/machines/registry.js';
import { chooseProfiles, resolveChoice } from '../../../src/suites/choose.js';
import { previewSource } from '../../../src/suites/from-source.js';
import { DECISIONS, requireStillUntrusted } from '../../../src/suites/untrusted.js';
import { toolIsHere } from '../reports/tool.js';

const work = { signal: new AbortController().signal, progress: () => undefined };
const UNTRUSTED: ProfileChoice = { profiles: [], untrusted: true };
const SCRIPT = 'install: { kind: script, run: ./x }';

/** The repository of a pull request, beside files of the host that are not its own. */
let outside: string;
let repository: string;
beforeEach(async () => {
  outside = await realpath(await mkdtemp(path.join(tmpdir(), 'nixproof-untrusted-')));
  repository = path.join(outside, 'repository');
  await mkdir(path.join(repository, '.git'), { recursive: true });
  await mkdir(path.join(outside, 'elsewhere'));
  await writeFile(path.join(outside, 'key'), 'of the host');
  await writeFile(path.join(repository, 'key'), 'of the pull request');
  await writeFile(path.join(repository, '.git', 'config'), 'a token');
});
afterEach(() => rm(outside, { recursive: true, force: true }));

/** Opens and resolves a configuration as `nixproof test --untrusted` does. */
async function resolved(yaml: string, choice = UNTRUSTED): Promise<readonly Profile[]> {
  const file = path.join(repository, 'nixproof.yaml');
  await writeFile(file, yaml);
  return resolveChoice(await openConfig(repository, undefined, { untrusted: {} }), choice, repository);
}

async function problemsOf(attempt: Promise<unknown>): Promise<readonly string[]> {
  const error = await attempt.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(NixproofError);
  expect((error as NixproofError).code).toBe('CONFIG_UNTRUSTED');
  return (error as NixproofError).details['problems'] as readonly string[];
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

/** Where a configuration may hold something, by its path in the schema. */
function placesOf(schema: Schema, at = ''): readonly string[] {
  const { properties = {}, additionalProperties, items, anyOf = [], oneOf = [], allOf = [] } = schema;
  const below = [
    ...Object.entries(properties).flatMap(([name, inner]) => placesOf(inner, at === '' ? name : `${at}.${name}`)),
    ...(typeof additionalProperties === 'object' ? placesOf(additionalProperties, `${at}.*`) : []),
    ...(items ? placesOf(items, `${at}[]`) : []),
    ...[...anyOf, ...oneOf, ...allOf].flatMap((inner) => placesOf(inner, at)),
  ];
  return below.length === 0 ? [at] : below;
}

test('every place of the schema is decided, and no other', () => {
  const places = new Set(placesOf(configJsonSchema()));
  expect([...places].filter((place) => !Object.hasOwn(DECISIONS, place))).toEqual([]);
  expect(Object.keys(DECISIONS).filter((place) => !places.has(place))).toEqual([]);
});

describe('refuses, naming the place', () => {
  test.each([
    ['nix-check', 'profiles: { vm: { install: { kind: nix-check, flake: .#x } } }', 'profiles.vm.install.kind: '],
    [
      'nixos-anywhere',
      'profiles: { vm: { driver: qemu, install: { kind: nixos-anywhere, flake: .#x } } }',
      'profiles.vm.install.kind: ',
    ],
    ['a sandbox', `profiles: { vm: { driver: sandbox, ${SCRIPT} } }`, 'profiles.vm.driver: '],
    [
      'ssh',
      `profiles: { vm: { driver: ssh, ${SCRIPT} } }\nmachines: { m: { address: a, key: key, disks: [/dev/sda], reset: id } }`,
      'profiles.vm.driver: ',
    ],
    [
      'a service of the host',
      `profiles: { vm: { network: { host: [5432] }, ${SCRIPT} } }`,
      'profiles.vm.network.host: ',
    ],
    ['a folder above', `profiles: { vm: { deploy: { from: .. }, ${SCRIPT} } }`, 'profiles.vm.deploy.from: '],
    ['a folder of the host', `profiles: { vm: { deploy: { from: /etc }, ${SCRIPT} } }`, 'profiles.vm.deploy.from: '],
    ['the home folder', `profiles: { vm: { deploy: { from: ~/ }, ${SCRIPT} } }`, 'profiles.vm.deploy.from: '],
    ['git’s own folder', `profiles: { vm: { deploy: { from: .git }, ${SCRIPT} } }`, 'profiles.vm.deploy.from: '],
    [
      'what git has checked out with',
      `profiles: { vm: { files: [{ from: .git/config, to: /k }], ${SCRIPT} } }`,
      'profiles.vm.files[0].from: ',
    ],
    ['an image of the host', `profiles: { vm: { base: 'disk:../key', ${SCRIPT} } }`, 'profiles.vm.base: '],
    ['an address', `profiles: { vm: { base: 'iso:http://a/b#${'0'.repeat(64)}', ${SCRIPT} } }`, 'profiles.vm.base: '],
    [
      'a key of the host',
      `profiles: { vm: { checks: [{ run: id, user: me, key: ../key }], ${SCRIPT} } }`,
      'profiles.vm.checks[0].key: ',
    ],
    [
      'a file of the host',
      `profiles: { vm: { files: [{ from: ../key, to: /k }], ${SCRIPT} } }`,
      'profiles.vm.files[0].from: ',
    ],
    [
      'the environment',
      `secrets: { t: { env: HOME } }\nprofiles: { vm: { install: { kind: script, run: x, env: { T: { secret: t } } } } }`,
      'secrets.t.env: ',
    ],
    [
      'a command',
      `secrets: { t: { command: [id] } }\nprofiles: { vm: { files: [{ secret: t, to: /k }], ${SCRIPT} } }`,
      'secrets.t.command: ',
    ],
    [
      'a secret of the host',
      `secrets: { t: { file: ../key } }\nprofiles: { vm: { files: [{ secret: t, to: /k }], ${SCRIPT} } }`,
      'secrets.t.file: ',
    ],
    ['heals elsewhere', `profiles: { vm: { ${SCRIPT} } }\nhealing: { from: ../elsewhere }`, 'healing.from: '],
  ])('%s', async (_, yaml, place) => {
    const problems = await problemsOf(resolved(yaml));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${place.replace(/[[\]]/g, '\\$&')}`));
  });

  test('a folder, a file and a heal behind a symbolic link', async () => {
    await symlink(path.join(outside, 'elsewhere'), path.join(repository, 'tree'));
    await symlink(path.join(outside, 'key'), path.join(repository, 'linked'));
    await mkdir(path.join(repository, 'heals'));
    await symlink(path.join(outside, 'key'), path.join(repository, 'heals', 'h.yaml'));
    const yaml = `profiles: { vm: { deploy: { from: tree }, base: 'disk:linked', ${SCRIPT} } }`;
    const problems = await problemsOf(resolved(yaml));
    expect(problems.map((problem) => problem.split(': ')[0])).toEqual(['profiles.vm.base', 'profiles.vm.deploy.from']);
    const [heal] = await problemsOf(resolved(`profiles: { vm: { ${SCRIPT} } }\nhealing: { from: heals }`));
    expect(heal).toMatch(/^healing\.from, .*h\.yaml: it is outside the repository/);
  });

  test('a path that leaves the repository, in the same words whatever is there', async () => {
    await symlink(outside, path.join(repository, 'out'));
    await symlink('../elsewhere', path.join(repository, 'hosts-folder'));
    await symlink('../none', path.join(repository, 'no-folder'));
    await symlink('circle', path.join(repository, 'circle'));
    await symlink(repository, path.join(outside, 'back'));
    await symlink('.', path.join(repository, 'here'));
    const left = ['..', '../key', '../none', '../back/key', '../none/key', '../key/x', '/etc/shadow', '~/x'];
    const through = ['out', 'out/key', 'out/none', 'out/back/key', 'hosts-folder', 'no-folder', 'here/../../key'];
    const said = async (from: string) => {
      const [problem = ''] = await problemsOf(resolved(`profiles: { vm: { deploy: { from: '${from}' }, ${SCRIPT} } }`));
      return problem.replace('profiles.vm.deploy.from: ', '');
    };
    for (const from of [...left, ...through])
      expect(await said(from), from).toBe(`it is outside the repository; name something inside ${repository}`);
    for (const from of ['none', 'here/none', 'key/x', 'circle'])
      expect(await said(from), from).toContain(`there is no ${repository}/${from}`);
    for (const from of ['.git', 'here/.git', 'here/here/.GIT/hooks', '.git/../.git'])
      expect(await said(from), from).toContain("in git's own folder");
    expect(await said('key')).toContain('it is no folder');
    const [inside] = await resolved(`profiles: { vm: { driver: qemu, deploy: { from: here/here }, ${SCRIPT} } }`);
    expect(inside).toMatchObject({ deploy: { from: repository } });
  });

  test('what is not a plain file, where one is read', async () => {
    await mkdir(path.join(repository, 'folder'));
    await promisify(execFile)('mkfifo', [path.join(repository, 'pipe')]);
    const yaml = `profiles: { vm: { files: [{ from: pipe, to: /k }], checks: [{ run: id, user: me, key: folder }], ${SCRIPT} } }`;
    expect(await problemsOf(resolved(yaml))).toEqual([
      'profiles.vm.files[0].from: it is no plain file; name a file',
      'profiles.vm.checks[0].key: it is no plain file; name a file',
    ]);
  });

  test('a configuration in a folder that is a link, which would choose what the repository is', async () => {
    const other = path.join(outside, 'other');
    await mkdir(path.join(other, '.git'), { recursive: true });
    await writeFile(path.join(other, 'nixproof.yaml'), `profiles: { vm: { ${SCRIPT} } }`);
    await symlink(other, path.join(repository, 'ci'));
    const opened = (file: string) => openConfig(repository, file, { untrusted: {} });
    expect(await problemsOf(opened('ci/nixproof.yaml'))).toEqual([
      'ci/nixproof.yaml: a link leads to its folder; name it where it really is',
    ]);
    expect(await opened(path.join(other, 'nixproof.yaml'))).toMatchObject({ repository: other });
  });

  test.each(['nixproof.ts', 'nixproof.mjs', 'nixproof.js'])('%s, without running it', async (name) => {
    const ran = path.join(outside, 'ran');
    const program = `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(ran)}, ''); export default {};`;
    await writeFile(path.join(repository, name), program);
    const [problem] = await problemsOf(openConfig(repository, undefined, { untrusted: {} }));
    expect(problem).toContain(name);
    await expect(realpath(ran)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a configuration that is a link to a file of the host', async () => {
    for (const target of ['key', 'none']) {
      await rm(path.join(repository, 'nixproof.yaml'), { force: true });
      await symlink(path.join(outside, target), path.join(repository, 'nixproof.yaml'));
      expect(await problemsOf(openConfig(repository, undefined, { untrusted: {} }))).toEqual([
        `nixproof.yaml: it is outside the repository; name something inside ${repository}`,
      ]);
    }
  });

  test('a driver of the command line that runs the configuration here, and the sandbox that stands in for QEMU', async () => {
    const yaml = `profiles: { vm: { ${SCRIPT} } }`;
    expect(await problemsOf(resolved(yaml, { ...UNTRUSTED, drivers: ['sandbox'] }))).toHaveLength(1);
    vi.stubEnv('PATH', '/nonexistent');
    const config = await openConfig(repository, undefined, { untrusted: {} });
    const place = { ...work, layout: layoutOf(path.join(outside, 'home')) };
    for (const user of [0, 1000]) {
      vi.spyOn(process, 'getuid').mockReturnValue(user);
      const chosen = chooseProfiles(config, UNTRUSTED, repository, createRegistry(place.layout), place);
      expect(await problemsOf(chosen)).toHaveLength(1);
      vi.restoreAllMocks();
    }
  });

  test('everything at once', async () => {
    const yaml = `profiles:
  a: { driver: sandbox, deploy: { from: .. }, checks: [{ run: id, user: me, key: ../none }], ${SCRIPT} }
  b: { network: { host: [22] }, deploy: { from: .. }, ${SCRIPT} }
healing: { from: ../elsewhere }
`;
    const problems = await problemsOf(resolved(yaml));
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'healing.from',
      'profiles.a.driver',
      'profiles.a.deploy.from',
      'profiles.a.checks[0].key',
      'profiles.b.network.host',
      'profiles.b.deploy.from',
    ]);
    expect(await problemsOf(resolved(yaml, { ...UNTRUSTED, bases: ['debian', 'nixos'] }))).toEqual(problems);
  });
});

test('a deployed tree has no git folder, whatever the configuration leaves out', async () => {
  const [profile] = await resolved(`profiles: { vm: { deploy: { exclude: ['!.git'] }, ${SCRIPT} } }`);
  const isLeftOut = await excluding(repository, (profile as Profile).deploy.exclude, path.join(outside, 'home'));
  expect([isLeftOut('.git', true), isLeftOut('sub/.git', true), isLeftOut('key', false)]).toEqual([true, true, false]);
});

describe('allows', () => {
  test('what runs in a machine and reads the repository', async () => {
    await mkdir(path.join(repository, 'hosts'));
    await symlink('hosts', path.join(repository, 'tree'));
    const yaml = `profiles: { vm: { driver: qemu, base: debian, deploy: { from: tree }, checks: [{ run: id, user: me, key: key }], ${SCRIPT} } }
healing: { heals: [{ name: h, for: network.dns, run: [id] }] }`;
    const [profile] = await resolved(yaml);
    expect(profile).toMatchObject({ deploy: { from: path.join(repository, 'hosts') }, untrusted: { repository } });
  });

  test('an image that the command line names, and other profiles that are not tested', async () => {
    const yaml = `profiles: { vm: { ${SCRIPT} }, lab: { driver: sandbox, ${SCRIPT} } }`;
    const choice = { ...UNTRUSTED, profiles: ['vm'], bases: [`disk:${path.join(outside, 'key')}`] };
    expect(await resolved(yaml, choice)).toMatchObject([{ base: `disk:${outside}/key` }]);
  });

  test('a flake, which is read and not evaluated', async () => {
    await writeFile(path.join(repository, 'flake.nix'), '{ outputs = _: { nixosConfigurations.vm = 1; }; }');
    const nix = path.join(outside, 'nix');
    await writeFile(nix, `#!/bin/sh\ntouch ${outside}/evaluated\n`, { mode: 0o755 });
    vi.stubEnv('PATH', `${outside}:${process.env['PATH'] ?? ''}`);
    const config = await openConfig(repository, undefined, { untrusted: {} });
    vi.unstubAllEnvs();
    expect(Object.keys(config.config.profiles)).toEqual(['vm']);
    await expect(realpath(path.join(outside, 'evaluated'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

test('the worker asks again: a folder that has become a link since is not read', async () => {
  await mkdir(path.join(repository, 'hosts'));
  const [profile] = await resolved(`profiles: { vm: { driver: qemu, deploy: { from: hosts }, ${SCRIPT} } }`);
  await requireStillUntrusted(profile as Profile);
  await rename(path.join(repository, 'hosts'), path.join(repository, 'before'));
  await symlink(path.join(outside, 'elsewhere'), path.join(repository, 'hosts'));
  expect(await problemsOf(requireStillUntrusted(profile as Profile))).toHaveLength(1);
});

test('a schedule holds the commit that it tests to the same', async () => {
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', repository, ...args]);
  await rm(path.join(repository, '.git'), { recursive: true });
  await writeFile(path.join(repository, 'nixproof.yaml'), `profiles: { vm: { deploy: { from: .. }, ${SCRIPT} } }`);
  await git('init', '-q', '-b', 'main');
  await git('add', '.');
  await git('-c', 'user.name=me', '-c', 'user.email=me@example.org', 'commit', '-qm', 'first');
  const source = { kind: 'git', repository, ref: 'main', folder: '' } as const;
  const scheduled = { schedule: 's', source, choice: UNTRUSTED, searchAttributes: false, notify: [] };
  const place = { ...work, layout: layoutOf(path.join(outside, 'home')) };
  expect(await problemsOf(previewSource(scheduled, place))).toHaveLength(1);
  const trusted = await previewSource({ ...scheduled, choice: { profiles: [] } }, place);
  expect(trusted.profiles).toHaveLength(1);
});

describe.runIf(await toolIsHere('qemu-img', ['--version']))('of images in the repository', () => {
  const make = async (file: string, ...args: string[]) => {
    await promisify(execFile)('qemu-img', ['create', '-q', ...args, path.join(repository, file), '1M']);
    return resolved(`profiles: { vm: { driver: qemu, base: 'disk:${file}', ${SCRIPT} } }`);
  };
  const backing = () => path.join(outside, 'key');

  test.each([
    ['a.raw', ['-f', 'raw']],
    ['a.qcow2', ['-f', 'qcow2']],
    ['old.qcow2', ['-f', 'qcow2', '-o', 'compat=0.10']],
  ])('%s is allowed', async (file, args) => {
    expect(await make(file, ...args)).toHaveLength(1);
  });

  test.each([
    ['backed.qcow2', () => ['-f', 'qcow2', '-F', 'raw', '-b', backing()], 'it has a backing file'],
    ['old.qcow2', () => ['-f', 'qcow2', '-o', 'compat=0.10', '-F', 'raw', '-b', backing()], 'it has a backing file'],
    ['data.qcow2', () => ['-f', 'qcow2', '-o', `data_file=${outside}/data`], 'it has a data file'],
    ['a.vmdk', () => ['-f', 'vmdk'], 'its format is vmdk'],
    ['flat.vmdk', () => ['-f', 'vmdk', '-o', 'subformat=monolithicFlat'], 'its format is vmdk'],
    ['a.vhdx', () => ['-f', 'vhdx'], 'its format is vhdx'],
    ['a.vdi', () => ['-f', 'vdi'], 'its format is vdi'],
    ['a.qed', () => ['-f', 'qed'], 'its format is qed'],
  ])('%s is refused', async (file, args, problem) => {
    expect((await problemsOf(make(file, ...args())))[0]).toContain(`profiles.vm.base: ${problem}`);
  });
});
