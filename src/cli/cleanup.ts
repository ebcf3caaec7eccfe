import { rm } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { EXIT } from '../domain/verdict.js';
import { folderBytes } from '../host/files.js';
import { runFiles } from '../records/artifacts.js';
import { duration } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

interface CleanupOptions extends CommonOptions {
  readonly olderThan: number;
  readonly bases?: boolean;
  readonly dryRun?: boolean;
}

/** Something that can go, and what it takes. */
interface Leftover {
  readonly what: string;
  readonly bytes: number;
  remove(): Promise<void>;
}

const DAY_MS = 24 * 60 * 60_000;

export function registerCleanup(program: Command): void {
  program
    .command('cleanup')
    .description('remove machines whose runs have ended, and old runs; says what and how much first')
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
  const { bytesText } = await import('../reports/quantities.js');
  const leftovers = [
    ...(await machines(session)),
    ...(await oldRuns(session, options.olderThan)),
    ...(options.bases ? await bases(session) : []),
  ];
  for (const { what, bytes } of leftovers) session.say(`${what}  ${bytesText(bytes)}`);
  const total = leftovers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!options.dryRun) for (const leftover of leftovers) await leftover.remove();
  if (session.json) {
    const removed = leftovers.map(({ what, bytes }) => ({ what, bytes }));
    session.print(`${JSON.stringify({ dryRun: options.dryRun ?? false, bytes: total, removed }, null, 2)}\n`);
  }
  session.say(
    leftovers.length === 0 ? 'nothing to remove' : `${options.dryRun ? 'would free' : 'freed'} ${bytesText(total)}`,
  );
  return EXIT.ok;
}

/** Machines of runs that have ended, and half-made ones of runs nobody knows. */
async function machines(session: Session): Promise<Leftover[]> {
  const { createRegistry } = await import('../machines/registry.js');
  const { machineFolder, machineIds } = await import('../machines/record.js');
  const { findRuns } = await import('./runs.js');
  const registry = createRegistry(session.layout);
  const open = new Set((await findRuns(session)).filter(({ verdict }) => verdict === null).map(({ run }) => run));
  const ids = (await machineIds(session.layout)).filter((id) => !open.has(id));
  return Promise.all(
    ids.map(async (id) => ({
      what: `machine ${id}`,
      bytes: await folderBytes(machineFolder(session.layout, id)),
      remove: () => registry.destroy(id, session),
    })),
  );
}

async function oldRuns(session: Session, olderThanMs: number): Promise<Leftover[]> {
  const { listRunReports } = await import('../records/artifacts.js');
  const before = new Date(Date.now() - olderThanMs).toISOString();
  const old = (await listRunReports(session.layout.runs)).filter(
    ({ verdict, startedAt }) => verdict !== null && startedAt < before,
  );
  return Promise.all(old.map(({ run }) => folder(`run ${run}`, runFiles(session.layout.runs, run).folder)));
}

async function bases(session: Session): Promise<Leftover[]> {
  return [await folder('bases and templates', session.layout.bases)].filter(({ bytes }) => bytes > 0);
}

async function folder(what: string, path: string): Promise<Leftover> {
  return { what, bytes: await folderBytes(path), remove: () => rm(path, { recursive: true, force: true }) };
}
