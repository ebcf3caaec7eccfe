import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { isErrno } from '../host/files.js';
import { insideOf, type Refusal } from './inside.js';
import { absolutePath, shownPath } from './paths.js';
import { heal, type Config } from './schema.js';
import { parseYaml, invalid } from './yaml-file.js';

/**
 * The configuration with the heals of its folder of heals: one of YAML or JSON each, in the order
 * of the files' names, behind those that stand in the configuration itself.
 * @param repository outside of which nothing is read, if the configuration is not trusted: what is
 * refused for that is given
 * @throws NixproofError `CONFIG_INVALID` with the file and line of each problem; `CONFIG_NOT_FOUND`
 * where there is no such folder
 */
export async function withHealFiles(
  config: Config,
  folder: string,
  cwd: string,
  repository?: string,
): Promise<{ readonly whole: Config; readonly refused: readonly Refusal[] }> {
  const { from, heals } = config.healing;
  const refused: Refusal[] = [];
  const added: Config['healing']['heals'] = [];
  const isRefused = async (file: string, where: string): Promise<boolean> => {
    const real = repository === undefined ? file : await insideOf(repository, file, where);
    if (typeof real !== 'string') refused.push(real);
    return typeof real !== 'string';
  };
  const absolute = absolutePath(folder, from ?? '');
  if (from === undefined || (await isRefused(absolute, 'healing.from'))) return { whole: config, refused };
  for (const name of await healFiles(absolute, shownPath(absolute, cwd))) {
    const file = path.join(absolute, name);
    const shown = shownPath(file, cwd);
    if (await isRefused(file, `healing.from, ${shown}`)) continue;
    const one = parseYaml(heal, await readFile(file, 'utf8'), shown, 'a heal');
    if ([...heals, ...added].some((other) => other.name === one.name)) {
      throw invalid([`${shown}: name: expected a name of its own, got ${JSON.stringify(one.name)} again`]);
    }
    added.push(one);
  }
  return { whole: { ...config, healing: { ...config.healing, heals: [...heals, ...added] } }, refused };
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
