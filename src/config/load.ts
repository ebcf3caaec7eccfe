import { createJiti } from 'jiti';
import { lstat, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, NixproofError } from '../domain/error.js';
import { isErrno } from '../host/files.js';
import { requireInside, untrusted, type Refusal } from './inside.js';
import { shownPath, upwards } from './paths.js';
import { withHealFiles } from './heal-files.js';
import { configSchema, type Config } from './schema.js';
import { validate } from './validate.js';
import { invalid, parseYaml, sentence } from './yaml-file.js';

/** Names a configuration may have, in the order in which they are looked for in each folder. */
export const CONFIG_NAMES: readonly string[] = ['yaml', 'yml', 'ts', 'mts', 'js', 'mjs', 'json'].map(
  (extension) => `nixproof.${extension}`,
);

/** Names of configurations that are data; the others are programs. */
const DATA = /\.(ya?ml|json)$/;

/** Whether a configuration is data, and no program. */
export function isData(file: string): boolean {
  return DATA.test(file);
}

/** A configuration and where it came from. */
export interface LoadedConfig {
  /** Absolute path of the file: the configuration, or the flake it was made from. */
  readonly file: string;
  /** Its folder, which the paths in it are relative to. */
  readonly folder: string;
  readonly config: Config;
  /** Set if it is not trusted: the repository that it may read, an absolute path without links. */
  readonly repository?: string;
  /** Set if it is not trusted: what was refused while it was read. */
  readonly refused?: readonly Refusal[];
}

/** The configuration that holds for a folder: in it, or in the nearest one above. */
export async function findConfig(cwd: string): Promise<string | undefined> {
  for (const folder of upwards(cwd)) {
    for (const name of CONFIG_NAMES) {
      const file = path.join(folder, name);
      const found = await lstat(file).catch(() => undefined);
      if (found && !found.isDirectory()) return file;
    }
  }
  return undefined;
}

/** Whether there is a file (links are followed). */
export async function isFile(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() ?? false;
}

/**
 * Reads and validates a configuration; its name's end tells the format.
 * @param cwd names of files in messages are relative to it
 * @param repository outside of which nothing is read for it, if it is not trusted; it may not be a
 * program then
 * @throws NixproofError `CONFIG_NOT_FOUND`, `CONFIG_UNTRUSTED`; `CONFIG_INVALID` with every
 * problem, `file:line:column: path: what`, in `details.problems`
 */
export async function loadConfig(file: string, cwd = process.cwd(), repository?: string): Promise<LoadedConfig> {
  const absolute = path.resolve(cwd, file);
  const name = shownPath(absolute, cwd);
  const folder = repository === undefined ? path.dirname(absolute) : await requireData(absolute, name, repository);
  const config = isData(absolute)
    ? parseYaml(configSchema, await readConfig(absolute, name), name, 'profiles')
    : await fromModule(absolute, name);
  const { whole, refused } = await withHealFiles(config, folder, cwd, repository);
  return { file: absolute, folder, config: whole, ...(repository === undefined ? {} : { repository, refused }) };
}

/**
 * @returns the folder that it is in, links followed
 * @throws NixproofError `CONFIG_UNTRUSTED` for a configuration that is a program, or a link to
 * somewhere else
 */
async function requireData(file: string, name: string, repository: string): Promise<string> {
  if (!isData(file)) {
    const problem = 'a configuration in TypeScript or JavaScript is a program that runs on this host';
    throw untrusted([{ path: name, problem, remedy: 'write it as nixproof.yaml or nixproof.json' }]);
  }
  const folder = await realpath(path.dirname(file));
  // Before anything is said of what it may be a link to.
  if (await lstat(file).catch(() => undefined))
    await requireInside(repository, path.join(folder, path.basename(file)), name);
  await requireFile(file, name);
  return folder;
}

async function fromModule(file: string, name: string): Promise<Config> {
  await requireFile(file, name);
  // Whoever writes `import { defineConfig } from 'nixproof'` gets ours, whether or not nixproof is installed beside the file.
  const jiti = createJiti(import.meta.url, {
    alias: { nixproof: fileURLToPath(new URL('../index', import.meta.url)) },
    interopDefault: false,
    fsCache: false,
    moduleCache: false,
  });
  const module = await jiti.import<{ readonly default?: unknown }>(file).catch((error: unknown) => {
    throw invalid([cannotLoad(error, file, name)], error);
  });
  if (module.default === undefined) {
    throw invalid([`${name}: expected a default export such as \`export default defineConfig({ … })\`, got none`]);
  }
  const validation = validate(configSchema, module.default);
  if (validation.valid) return validation.value;
  throw invalid(validation.problems.map((problem) => `${name}: ${sentence(problem)}`));
}

/** The compiler ends its message with the place, columns from nought: `ParseError: Unexpected token FILE:2:5`. */
function cannotLoad(error: unknown, file: string, name: string): string {
  const message = messageOf(error).replaceAll(file, name).replace(/\s+/g, ' ').trim();
  const [, what = message, place = name, column] = /^(?:ParseError: )?(.*?) (\S+:\d+):(\d+)$/.exec(message) ?? [];
  return `${place}${column === undefined ? '' : `:${Number(column) + 1}`}: cannot be loaded: ${what}`;
}

/** What is longer would take minutes to be read, bytes. */
const MAX_BYTES = 1024 * 1024;

async function readConfig(file: string, name: string): Promise<string> {
  await requireFile(file, name);
  if ((await stat(file)).size > MAX_BYTES) {
    throw new NixproofError('CONFIG_INVALID', `${name} has more than ${MAX_BYTES / 1024} KiB`, {
      hint: 'split it: each file has its own profiles',
    });
  }
  return await readFile(file, 'utf8');
}

async function requireFile(file: string, name: string): Promise<void> {
  const hint = 'give the path of a configuration, or run `nixproof init` to write one';
  try {
    if ((await stat(file)).isFile()) return;
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) throw error;
    throw new NixproofError('CONFIG_NOT_FOUND', `there is no ${name}`, { hint, cause: error });
  }
  throw new NixproofError('CONFIG_NOT_FOUND', `${name} is not a file`, { hint });
}
