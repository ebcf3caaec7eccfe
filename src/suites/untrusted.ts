import { realpath, stat } from 'node:fs/promises';
import { whyNotPlain } from '../bases/plain-image.js';
import { fromHomeFolder } from '../host/paths.js';
import { GIT_FOLDER, insideOf, untrusted, type Refusal } from '../config/inside.js';
import { hostToolsOf } from '../domain/installer.js';
import type { DriverName, Profile, SecretSource } from '../domain/profile.js';

/** What of the host a configuration names: used only if it is inside the repository. */
interface Place {
  readonly path: string;
  readonly file: string;
  /** What it must be; an image must not name other files either. */
  readonly is: 'folder' | 'file' | 'image';
  /** What to do instead; unless given: name something inside the repository. */
  readonly remedy?: string;
}

type Subject = Omit<Profile, 'driver'> & { readonly driver?: DriverName };
type Finding = Refusal | Place;
type Decision = (profile: Subject) => readonly Finding[];

/** Acts inside the machine, is a number or a name, or chooses among what the host does anyway. */
const harmless: Decision = () => [];
/** Belongs to driver ssh alone, which is refused by `profiles.*.driver`. */
const onlyForSsh: Decision = () => [];
/** Belongs to a kind alone that is refused by `profiles.*.install.kind`. */
const onlyForHostKinds: Decision = () => [];
/** Decided by `loadConfig`, before it reads any, and given to `requireUntrusted`. */
const whenRead: Decision = () => [];

const driver: Decision = ({ name, driver: chosen, install }) => {
  if (chosen === undefined || chosen === 'qemu' || chosen === 'libvirt') return [];
  // It has no other driver, and is refused itself.
  if (install.kind === 'nix-check') return [];
  const problem =
    chosen === 'ssh'
      ? 'driver ssh runs the commands and uses the keys of the configuration on this host'
      : 'driver sandbox runs the installer, heals and checks of the configuration on this host';
  return [{ path: `profiles.${name}.driver`, problem, remedy: 'use qemu or libvirt' }];
};

const hostPorts: Decision = ({ name, machine: { network } }) =>
  typeof network !== 'object'
    ? []
    : [
        {
          path: `profiles.${name}.network.host`,
          problem: 'the machine would reach services of this host',
          remedy: 'use network: internet or none',
        },
      ];

const kind: Decision = ({ name, install }) =>
  hostToolsOf(install).length === 0
    ? []
    : [
        {
          path: `profiles.${name}.install.kind`,
          problem: `kind ${install.kind} runs on this host`,
          remedy: 'use kind nixos or script, which run in the machine',
        },
      ];

const base: Decision = ({ name, base: chosen = '' }) => {
  const path = `profiles.${name}.base`;
  const image = imageOf(chosen);
  if (image === undefined) return [];
  if (!/^https?:/.test(image.file)) return [{ path, file: image.file, is: 'image' }];
  const problem = 'the configuration makes this host fetch an address of its choice';
  return [{ path, problem, remedy: 'give the image with --base' }];
};

const deployed: Decision = ({ name, deploy }) => [
  { path: `profiles.${name}.deploy.from`, file: deploy.from, is: 'folder' },
];

const THROW_AWAY_KEY = 'use a key made for the test, in the repository';

const checkKeys: Decision = ({ name, checks }) =>
  checks.flatMap(({ login }, index) =>
    login === undefined
      ? []
      : [{ path: `profiles.${name}.checks[${index}].key`, file: login.key, is: 'file', remedy: THROW_AWAY_KEY }],
  );

const copiedFiles: Decision = ({ name, files = [] }) =>
  files.flatMap(({ content }, index) =>
    'from' in content ? [{ path: `profiles.${name}.files[${index}].from`, file: content.from, is: 'file' }] : [],
  );

/** Decides of the secrets that come from there. */
function ofSecrets<K extends SecretSource['kind']>(
  from: K,
  find: (path: string, source: Extract<SecretSource, { kind: K }>) => Finding,
): Decision {
  const isFrom = (source: SecretSource): source is Extract<SecretSource, { kind: K }> => source.kind === from;
  return ({ secrets = {} }) =>
    Object.entries(secrets).flatMap(([name, source]) =>
      isFrom(source) ? [find(`secrets.${name}.${from}`, source)] : [],
    );
}

const WITHOUT_SECRETS = 'use no secret in a profile that pull requests test';

const secretVariables = ofSecrets('env', (path, { name }) => ({
  path,
  problem: `the configuration reads ${name} of this host's environment`,
  remedy: WITHOUT_SECRETS,
}));

const secretCommands = ofSecrets('command', (path) => ({
  path,
  problem: 'the configuration runs a command on this host',
  remedy: WITHOUT_SECRETS,
}));

const secretFiles = ofSecrets('file', (path, source) => ({
  path,
  file: fromHomeFolder(source.path),
  is: 'file',
  remedy: WITHOUT_SECRETS,
}));

/**
 * What `--untrusted` decides of each place of the configuration's schema, by its path: `*` is any
 * name, `[]` any element. A test compares the places with the schema. Whatever makes the host run,
 * read or send something is decided here and nowhere else.
 */
export const DECISIONS: Readonly<Record<string, Decision>> = {
  $schema: harmless,

  'profiles.*.base': base,
  'profiles.*.driver': driver,
  'profiles.*.machine.memory': harmless,
  'profiles.*.machine.cpus': harmless,
  'profiles.*.machine.disks[]': harmless,
  'profiles.*.machine.firmware': harmless,
  'profiles.*.machine.accelerator': harmless,
  'profiles.*.network': harmless,
  'profiles.*.network.host[]': hostPorts,
  'profiles.*.labels[]': harmless,
  'profiles.*.machines[]': onlyForSsh,
  'profiles.*.deploy.from': deployed,
  'profiles.*.deploy.to': harmless,
  // git's own folder is left out whatever it says.
  'profiles.*.deploy.exclude[]': harmless,
  'profiles.*.install.kind': kind,
  'profiles.*.install.run': harmless,
  'profiles.*.install.flake': harmless,
  'profiles.*.install.disko': harmless,
  'profiles.*.install.phases[]': onlyForHostKinds,
  'profiles.*.install.args[]': onlyForHostKinds,
  'profiles.*.install.timeout': harmless,
  'profiles.*.install.stall': harmless,
  'profiles.*.install.maxLog': harmless,
  'profiles.*.install.reboot': harmless,
  'profiles.*.install.env.*': harmless,
  // Where the secret comes from is decided at `secrets`.
  'profiles.*.install.env.*.secret': harmless,
  'profiles.*.files[].secret': harmless,
  'profiles.*.files[].from': copiedFiles,
  'profiles.*.files[].to': harmless,
  'profiles.*.files[].mode': harmless,
  'profiles.*.checks[].name': harmless,
  'profiles.*.checks[].user': harmless,
  'profiles.*.checks[].key': checkKeys,
  'profiles.*.checks[].run': harmless,
  'profiles.*.checks[].expect': harmless,
  'profiles.*.checks[].match': harmless,
  'profiles.*.checks[].service': harmless,
  'profiles.*.checks[].units': harmless,
  'profiles.*.checks[].reboot': harmless,
  'profiles.*.timeouts.machine': harmless,
  'profiles.*.timeouts.deploy': harmless,
  'profiles.*.timeouts.boot': harmless,
  'profiles.*.timeouts.checks': harmless,
  'profiles.*.timeouts.collect': harmless,
  'profiles.*.drills[]': harmless,

  'machines.*.address': onlyForSsh,
  'machines.*.port': onlyForSsh,
  'machines.*.user': onlyForSsh,
  'machines.*.key': onlyForSsh,
  'machines.*.hostKey': onlyForSsh,
  'machines.*.hostKeyChangesOnReset': onlyForSsh,
  'machines.*.disks[]': onlyForSsh,
  'machines.*.reset': onlyForSsh,
  'machines.*.start': onlyForSsh,
  'machines.*.stop': onlyForSsh,
  'machines.*.ready': onlyForSsh,
  'machines.*.commandTimeout': onlyForSsh,
  'machines.*.bootTimeout': onlyForSsh,

  'secrets.*.env': secretVariables,
  'secrets.*.file': secretFiles,
  'secrets.*.command[]': secretCommands,

  'healing.policy': harmless,
  'healing.threshold': harmless,
  'healing.max': harmless,
  'healing.ask': harmless,
  'healing.heals[].name': harmless,
  'healing.heals[].for': harmless,
  'healing.heals[].confidence': harmless,
  // Heals run in the machine; in a sandbox, which is refused, on the host.
  'healing.heals[].run[]': harmless,
  'healing.heals[].config.*': harmless,
  'healing.heals[].undo[]': harmless,
  'healing.heals[].resume': harmless,
  'healing.from': whenRead,
};

/**
 * Holds profiles of a configuration that is not trusted to what they may do: nothing on this host,
 * and nothing outside its repository. Asked when a suite is planned, and again by the worker before
 * it reads anything the profile names.
 * @param given what the command line has chosen instead of the configuration
 * @param before what was refused before
 * @returns the profiles with their paths as they really are, links followed
 * @throws NixproofError `CONFIG_UNTRUSTED` with everything that is refused
 */
export async function requireUntrusted<P extends Subject>(
  profiles: readonly P[],
  repository: string,
  given: { readonly base: boolean },
  before: readonly Refusal[] = [],
): Promise<readonly P[]> {
  const held: P[] = [];
  const refusals = new Map(before.map((refusal) => [JSON.stringify(refusal), refusal]));
  for (const profile of profiles) {
    const one = await hold(profile, repository, given);
    held.push(one.profile);
    // What several drivers or bases are refused for is said once.
    for (const refusal of one.refusals) refusals.set(JSON.stringify(refusal), refusal);
  }
  if (refusals.size > 0) throw untrusted([...refusals.values()]);
  return held;
}

async function hold<P extends Subject>(
  profile: P,
  repository: string,
  given: { readonly base: boolean },
): Promise<{ readonly profile: P; readonly refusals: readonly Refusal[] }> {
  const findings = Object.entries(DECISIONS)
    .filter(([path]) => !(given.base && path === 'profiles.*.base'))
    .flatMap(([, decide]) => decide(profile));
  const refusals = findings.flatMap((finding) => ('problem' in finding ? [finding] : []));
  const places = findings.flatMap((finding) => ('file' in finding ? [finding] : []));
  const real = new Map<string, string>();
  for (const place of places) {
    const found = await realPlace(repository, place);
    if (typeof found === 'string') real.set(place.file, found);
    else refusals.push(found);
  }
  const held = { ...profile, untrusted: { repository, base: given.base } };
  return { profile: withPlaces(held, (file) => real.get(file) ?? file), refusals };
}

/**
 * Asks again of a profile that was held to that before, with its driver or on another host; does
 * nothing for any other.
 * @throws NixproofError `CONFIG_UNTRUSTED`
 */
export async function requireStillUntrusted(profile: Subject): Promise<void> {
  const { untrusted: held } = profile;
  if (held) await requireUntrusted([profile], await realpath(held.repository), held);
}

async function realPlace(repository: string, { path, file, is, remedy }: Place): Promise<string | Refusal> {
  const real = await insideOf(repository, file, path);
  if (typeof real !== 'string') return { ...real, remedy: remedy ?? real.remedy };
  const found = await stat(real).catch(() => undefined);
  if (is === 'folder' ? !found?.isDirectory() : !found?.isFile())
    return { path, problem: `it is no ${is === 'folder' ? 'folder' : 'plain file'}`, remedy: `name a ${is}` };
  if (is !== 'image') return real;
  const problem = await whyNotPlain(real);
  if (problem === undefined) return real;
  return { path, problem, remedy: 'use a raw image, or a qcow2 image without backing and data file' };
}

/** The profile with these files of the host under other names. */
function withPlaces<P extends Subject>(profile: P, place: (file: string) => string): P {
  const { base: chosen, deploy, checks, files, secrets } = profile;
  return {
    ...profile,
    ...(chosen === undefined ? {} : { base: basePlaces(chosen, place) }),
    // The last pattern decides: no other brings git's folder back.
    deploy: { ...deploy, from: place(deploy.from), exclude: [...deploy.exclude, GIT_FOLDER] },
    checks: checks.map((check) =>
      check.login === undefined ? check : { ...check, login: { ...check.login, key: place(check.login.key) } },
    ),
    ...(files === undefined
      ? {}
      : {
          files: files.map((file) =>
            'from' in file.content ? { ...file, content: { from: place(file.content.from) } } : file,
          ),
        }),
    ...(secrets === undefined
      ? {}
      : {
          secrets: Object.fromEntries(
            Object.entries(secrets).map(([name, source]) => [
              name,
              source.kind === 'file' ? { ...source, path: place(fromHomeFolder(source.path)) } : source,
            ]),
          ),
        }),
  };
}

function basePlaces(chosen: string, place: (file: string) => string): string {
  const image = imageOf(chosen);
  return image === undefined ? chosen : `${image.kind}:${place(image.file)}${image.sum}`;
}

/** The image in a base's name. */
function imageOf(chosen: string): { readonly kind: string; readonly file: string; readonly sum: string } | undefined {
  const [, kind = '', rest = ''] = /^(disk|iso):(.*)$/s.exec(chosen) ?? [];
  if (kind === '') return undefined;
  const sum = kind === 'iso' ? (/#[0-9a-fA-F]{64}$/.exec(rest)?.[0] ?? '') : '';
  return { kind, file: rest.slice(0, rest.length - sum.length), sum };
}
