import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, messageOf, NixproofError } from '../domain/error.js';
import { runCommand } from '../host/process.js';
import { PROFILE_NAME } from './fields.js';
import { readFlakeText, type FlakeText } from '../nix/flake-text.js';
import { isFile, type LoadedConfig } from './load.js';
import { shownPath, upwards } from './paths.js';
import { configSchema } from './schema.js';

/** A flake and the hosts it configures. */
export interface Flake {
  /** Absolute path of flake.nix. */
  readonly file: string;
  readonly folder: string;
  /** Names in `nixosConfigurations` that can be profiles. */
  readonly hosts: readonly string[];
  /** Who told the hosts: Nix itself, or, as a fallback, the text of flake.nix. */
  readonly source: 'nix' | 'text';
  /** Whether flake.nix speaks of disko. */
  readonly disko: boolean;
  /** What the user should know of how the hosts were found; empty where Nix told them all. */
  readonly notes: readonly string[];
}

export interface DiscoverOptions {
  /** The nix program; default: the one in the PATH. */
  readonly nix?: string;
  /** Whether Nix may evaluate the flake on this host; default: yes. Else its text is read. */
  readonly evaluate?: boolean;
  readonly signal?: AbortSignal;
}

/** The flake of a folder or of the nearest one above that has one, with its hosts; undefined where there is none. */
export async function discoverFlake(cwd: string, options: DiscoverOptions = {}): Promise<Flake | undefined> {
  for (const folder of upwards(cwd)) {
    const file = path.join(folder, 'flake.nix');
    if (await isFile(file)) return await readFlake(file, folder, options);
  }
  return undefined;
}

async function readFlake(file: string, folder: string, options: DiscoverOptions): Promise<Flake> {
  const text = readFlakeText(await readFile(file, 'utf8'));
  const names = await namesOf(text, folder, options);
  const hosts = names.hosts.filter((name) => PROFILE_NAME.test(name));
  const unfit = names.hosts.filter((name) => !PROFILE_NAME.test(name));
  const notes = unfit.map((name) => `${JSON.stringify(name)} cannot be a profile: its name is not made for file names`);
  return { file, folder, hosts, source: names.source, disko: text.disko, notes: [...names.notes, ...notes] };
}

async function namesOf(text: FlakeText, folder: string, options: DiscoverOptions): Promise<Names> {
  if (options.evaluate === false) return guessed(text, 'the flake is not trusted: Nix does not evaluate it here');
  return askNix(folder, options).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    const missing = hasCode(error, 'HOST_TOOL_MISSING');
    const why = missing ? 'nix is not installed here' : `nix could not say (${messageOf(error).split('\n')[0] ?? ''})`;
    return guessed(text, why);
  });
}

type Names = Pick<Flake, 'hosts' | 'source' | 'notes'>;

async function askNix(folder: string, { nix = 'nix', signal }: DiscoverOptions): Promise<Names> {
  const args = [
    ...['--extra-experimental-features', 'nix-command flakes', 'eval', '--no-write-lock-file', '--json'],
    ...['--apply', 'builtins.attrNames', '.#nixosConfigurations'],
  ];
  const limits = { cwd: folder, timeoutMs: 120_000, ...(signal === undefined ? {} : { signal }) };
  const answer: unknown = JSON.parse(await runCommand(nix, args, limits));
  if (!Array.isArray(answer)) throw new Error(`nix eval answered ${JSON.stringify(answer)}`);
  return { hosts: answer.map(String), source: 'nix', notes: [] };
}

/** @param why Nix does not say */
function guessed(text: FlakeText, why: string): Names {
  const notes = [`${why}: the hosts were read from the text of flake.nix`];
  if (text.computed) notes.push('nixosConfigurations is computed: there may be hosts that its text does not name');
  return { hosts: text.hosts, source: 'text', notes };
}

/**
 * The configuration of a flake that has none: a profile for each host.
 * @throws NixproofError `CONFIG_FLAKE_EMPTY` where the flake names no hosts
 */
export function configFromFlake(flake: Flake, cwd = process.cwd()): LoadedConfig {
  if (flake.hosts.length === 0) {
    const message = `no nixosConfigurations were found in ${shownPath(flake.file, cwd)}`;
    const hint =
      flake.source === 'nix'
        ? 'add a host to nixosConfigurations, or describe the profiles in nixproof.yaml'
        : 'describe the profiles in nixproof.yaml (`nixproof init` begins one), or install nix, which can evaluate the flake';
    throw new NixproofError('CONFIG_FLAKE_EMPTY', message, { hint, details: { notes: flake.notes } });
  }
  const profiles = flake.hosts.map((host) => [
    host,
    { install: { kind: 'nixos' as const, flake: `.#${host}`, disko: flake.disko } },
  ]);
  const config = configSchema.parse({ profiles: Object.fromEntries(profiles) as unknown });
  return { file: flake.file, folder: flake.folder, config };
}
