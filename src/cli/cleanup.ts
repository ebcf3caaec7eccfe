import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { machineOf } from '../domain/names.js';
import { endOf } from '../domain/run.js';
import { folderBytes } from '../host/files.js';
import { removeTree } from '../host/tree/remove.js';
import { runFiles } from '../records/artifacts.js';
import { machineLeftovers, machineText, sweep, type Leftover } from './leftovers.js';
import { duration } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

interface CleanupOptions extends CommonOptions {
  readonly olderThan: number;
  readonly bases?: boolean;
  readonly dryRun?: boolean;
}

const DAY_MS = 24 * 60 * 60_000;

export function registerCleanup(program: Command): void {
  program
    .command('cleanup')
    .description(
      'remove machines whose runs have ended, old kept machines, runs and sources of schedules; says what and how much first',
    )
    .addOption(
      new Option('--older-than <duration>', 'runs that ended before then, and machines kept of such runs')
        .argParser(duration)
        .default(14 * DAY_MS, '14d'),
    )
    .option('--bases', 'bases and templates too: the next test makes them again')
    .option('--dry-run', 'only say what would go')
    .option('--json', 'print what goes as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof cleanup --dry-run\n  nixproof cleanup --older-than 2d')
    .action((options: CleanupOptions) => runCommand(options, (session) => cleanup(session, options)));
}

async function cleanup(session: Session, options: CleanupOptions): Promise<number> {
  const before = Date.now() - options.olderThan;
  const machines = await machineLeftovers(session, before, 'nixproof cleanup');
  const leftovers = [
    ...machines,
    ...(await oldRuns(session, before)),
    ...(await oldSources(session, before)),
    ...(options.bases ? await bases(session, machines) : []),
  ];
  return sweep(session, leftovers, options.dryRun ?? false);
}

async function oldRuns(session: Session, before: number): Promise<Leftover[]> {
  const { listRunReports } = await import('../records/artifacts.js');
  const old = (await listRunReports(session.layout.runs)).filter((run) => run.verdict !== null && endOf(run) < before);
  return Promise.all(old.map(({ run }) => folder(`run ${run}`, runFiles(session.layout.runs, run).folder)));
}

/**
 * Sources of schedules that were last pinned before then, without those of runs that have not ended
 * and of machines that are kept.
 */
async function oldSources(session: Session, before: number): Promise<Leftover[]> {
  const { listRunReports } = await import('../records/artifacts.js');
  const { machineIds } = await import('../machines/record.js');
  const { layout } = session;
  const machines = new Set(await machineIds(layout));
  const wanted = new Set(
    (await listRunReports(layout.runs))
      .filter((run) => run.verdict === null || machines.has(machineOf(run)))
      .map(({ source }) => source?.commit),
  );
  const leftovers: Leftover[] = [];
  for (const name of await readdir(layout.sources).catch(() => [])) {
    const source = path.join(layout.sources, name);
    const found = await stat(source).catch(() => undefined);
    if (!found || wanted.has(name) || found.mtimeMs > before) continue;
    leftovers.push(await folder(`source ${name}`, source));
  }
  return leftovers;
}

/**
 * The disks of a machine lie over those of its template: while one stays that has a base, all bases
 * do.
 */
async function bases(session: Session, going: readonly Leftover[]): Promise<Leftover[]> {
  const { createRegistry } = await import('../machines/registry.js');
  const { machineIds } = await import('../machines/record.js');
  const machines = await createRegistry(session.layout).list();
  const withoutBase = machines.filter(({ base }) => base === undefined).map(({ id }) => id);
  // One that is being cloned has a folder and no record yet.
  const staying = (await machineIds(session.layout)).filter(
    (id) => !withoutBase.includes(id) && !going.some(({ what }) => what === machineText(id)),
  );
  if (staying.length > 0) {
    session.progress(`bases and templates stay: ${staying.join(', ')} may need them`);
    return [];
  }
  return [await folder('bases and templates', session.layout.bases)].filter(({ bytes }) => bytes > 0);
}

async function folder(what: string, where: string): Promise<Leftover> {
  return { what, bytes: await folderBytes(where), remove: () => removeTree(where) };
}
