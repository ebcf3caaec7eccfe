import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { parallelFromEnvironment } from '../config/environment.js';
import type { LoadedConfig } from '../config/load.js';
import { openConfig } from '../config/open.js';
import { secretSources } from '../config/secrets.js';
import { NixproofError } from '../domain/error.js';
import type { Profile, SecretSource } from '../domain/profile.js';
import type { ScheduledSuite } from '../domain/schedule.js';
import { sourceText, type SourceTree } from '../domain/source.js';
import type { SuiteRequest } from '../domain/suite.js';
import type { Work } from '../domain/work.js';
import { isFolder } from '../host/files.js';
import type { Layout } from '../host/paths.js';
import type { Registry } from '../machines/registry.js';
import { chooseProfiles, resolveChoice } from './choose.js';
import { planSuite } from './plan.js';
import { pinSource } from './source.js';

type Place = Work & { readonly layout: Layout };

/**
 * The suite of a schedule, from its source as it stands now.
 * @throws NixproofError whatever {@link pinSource}, the configuration and {@link chooseProfiles} throw
 */
export async function planFromSource(
  scheduled: ScheduledSuite,
  machines: Registry,
  place: Place,
): Promise<SuiteRequest & { readonly source: SourceTree }> {
  const { source, folder, config } = await openSource(scheduled, place);
  const profiles = await chooseProfiles(config, scheduled.choice, folder, machines, place);
  const suite = planSuite(
    profiles.map((profile) => ({ profile, faults: [], drill: false })),
    {
      keep: 'never',
      timeoutMs: scheduled.timeoutMs,
      parallel: scheduled.parallel ?? parallelFromEnvironment(process.env) ?? 'auto',
      searchAttributes: scheduled.searchAttributes,
    },
  );
  return { ...suite, source };
}

/** What a schedule would test now, before it is made. @throws NixproofError as {@link planFromSource} */
export async function previewSource(
  scheduled: ScheduledSuite,
  place: Place,
): Promise<{
  readonly source: SourceTree;
  readonly profiles: readonly Profile[];
  /** The configuration's secrets, as what outlives this copy of the source may use them. */
  readonly secrets: Readonly<Record<string, SecretSource | 'inside the source'>>;
}> {
  const { source, folder, config } = await openSource(scheduled, place);
  const profiles = await resolveChoice(config, scheduled.choice, folder);
  return { source, profiles, secrets: lastingSecrets(config) };
}

/** Each firing tests a copy of its own: a path that starts from one leads nowhere later. */
function lastingSecrets({
  config,
  folder,
}: LoadedConfig): Readonly<Record<string, SecretSource | 'inside the source'>> {
  const lasting = Object.entries(secretSources(config, folder)).map(
    ([name, source]): readonly [string, SecretSource | 'inside the source'] => {
      const { file, command: [program = '', ...args] = [] } = config.secrets[name] ?? {};
      const isInside =
        file === undefined
          ? (program.includes('/') && !program.startsWith('/')) || args.some((one) => /^\.\.?\//.test(one))
          : !/^~?\//.test(file);
      if (isInside) return [name, 'inside the source'];
      return [name, source.kind === 'command' ? { ...source, folder: '/' } : source];
    },
  );
  return Object.fromEntries(lasting);
}

async function openSource(
  scheduled: ScheduledSuite,
  place: Place,
): Promise<{ readonly source: SourceTree; readonly folder: string; readonly config: LoadedConfig }> {
  const pinned = await pinSource(scheduled.source, place.layout, place);
  const source = { ...pinned, tree: await realpath(pinned.tree) };
  const folder = path.join(source.tree, scheduled.source.kind === 'git' ? scheduled.source.folder : '');
  if (!(await isFolder(folder))) throw notThere(source);
  const config = await openConfig(folder, scheduled.config, {
    signal: place.signal,
    ...(scheduled.choice.untrusted ? { untrusted: { repository: source.tree } } : {}),
  });
  // Who looks upwards for a configuration finds this home's surroundings too.
  if (path.relative(source.tree, config.file).startsWith('..')) throw notThere(source);
  for (const note of config.notes) place.progress(note);
  return { source, folder, config };
}

function notThere(source: SourceTree): NixproofError {
  return new NixproofError('CONFIG_NOT_FOUND', `there is no configuration in ${sourceText(source)}`, {
    hint: 'commit a nixproof.yaml or a flake.nix there, or name another place with --from, --ref or --config',
    details: { repository: source.repository, commit: source.commit },
  });
}
