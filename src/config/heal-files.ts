import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { isErrno } from '../host/files.js';
import { requireInside } from './inside.js';
import { absolutePath, shownPath } from './paths.js';
import { heal, type Config } from './schema.js';
import { parseYaml, invalid } from './yaml-file.js';

/**
 * The configuration with the heals of its folder of heals: one of YAML or JSON each, in the order
 * of the files' names, behind those that stand in the configuration itself.
 * @param repository outside of which nothing is read, if the configuration is not trusted
 * @throws NixproofError `CONFIG_UNTRUSTED`, `CONFIG_INVALID` with the file and line of each
 * problem; `CONFIG_NOT_FOUND` where there is no such folder
 */
export async function withHealFiles(config: Config, folder: string, cwd: string, repository?: string): Promise<Config> {
  const { from, heals } = config.healing;
  if (from === undefined) return config;
  const absolute = absolutePath(folder, from);
  if (repository !== undefined) await requireInside(repository, absolute, 'healing.from');
  const added: Config['healing']['heals'] = [];
  for (const name of await healFiles(absolute, shownPath(absolute, cwd))) {
    const file = path.join(absolute, name);
    const shown = shownPath(file, cwd);
    if (repository !== undefined) await requireInside(repository, file, `healing.from, ${shown}`);
    const one = parseYaml(heal, await readFile(file, 'utf8'), shown, 'a heal');
    if ([...heals, ...added].some((other) => other.name === one.name)) {
      throw invalid([`${shown}: name: expected a name of its own, got ${JSON.stringify(one.name)} again`]);
    }
    added.push(one);
  }
  return { ...config, healing: { ...config.healing, heals: [...heals, ...added] } };
}

async function healFiles(folder: string, shown: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort();
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) throw error;
    throw new NixproofError('CONFIG_NOT_FOUND', `healing.from: there is no folder ${shown}`, {
      hint: 'set healing.from to a folder of heals; it is relative to the configuration’s folder',
      cause: error,
    });
  }
}
