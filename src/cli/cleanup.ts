import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { machineOf } from '../domain/names.js';
import { folderBytes } from '../host/files.js';
import { runFiles } from '../records/artifacts.js';
import { machineLeftovers, sweep, type Leftover } from './leftovers.js';
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
      'remove machines whose runs have ended, old runs and old sources of schedules; says what and how much first',
    )
    .addOption(
      new Option('--older-than <duration>', 'runs that began before then')
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
  const leftovers = [
    ...(await machineLeftovers(session, 'kept go too')),
    ...(await oldRuns(session, options.olderThan)),
    ...(await oldSources(session, options.olderThan)),
    ...(options.bases ? await bases(session) : []),
  ];
  return sweep(session, leftovers, options.dryRun ?? false);
}

async function oldRuns(session: Session, olderThanMs: number): Promise<Leftover[]> {
  const { listRunReports } = await import('../records/artifacts.js');
  const before = new Date(Date.now() - olderThanMs).toISOString();
  const old = (await listRunReports(session.layout.runs)).filter(
    ({ verdict, startedAt }) => verdict !== null && startedAt < before,
  );
  return Promise.all(old.map(({ run }) => folder(`run ${run}`, runFiles(session.layout.runs, run).folder)));
}

/** Sources of schedules that were last pinned before then, but for those of runs that go on and of machines that are kept. */
async function oldSources(session: Session, olderThanMs: number): Promise<Leftover[]> {
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
    const { mtimeMs } = await stat(source);
    if (wanted.has(name) || mtimeMs > Date.now() - olderThanMs) continue;
    leftovers.push(await folder(`source ${name}`, source));
  }
  return leftovers;
}

async function bases(session: Session): Promise<Leftover[]> {
  return [await folder('bases and templates', session.layout.bases)].filter(({ bytes }) => bytes > 0);
}

async function folder(what: string, where: string): Promise<Leftover> {
  return { what, bytes: await folderBytes(where), remove: () => rm(where, { recursive: true, force: true }) };
}
