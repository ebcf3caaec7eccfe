import path from 'node:path';
import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { writeWhole } from '../host/files.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

interface InitOptions extends CommonOptions {
  readonly force?: boolean;
}

export function registerInit(program: Command): void {
  program
    .command('init')
    .description('write a configuration for the flake or folder here, profiles found by themselves')
    .option('--force', 'write over the one that is there')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  cd my-flake && nixproof init')
    .action((options: InitOptions) => runCommand(options, (session) => init(session, options)));
}

async function init(session: Session, { force = false }: InitOptions): Promise<number> {
  const { initialConfig } = await import('../config/init.js');
  const { file, text, found, notes } = await initialConfig({ cwd: process.cwd(), signal: session.signal });
  const shown = path.relative(process.cwd(), file) || file;
  await requireNone(path.dirname(file), file, force);
  await writeWhole(file, text);
  for (const note of notes) session.progress(note);
  if (found.kind === 'flake')
    session.say(
      `found ${found.flake.hosts.length} hosts in ${path.relative(process.cwd(), found.flake.file)}: ${found.flake.hosts.join(', ')}`,
    );
  if (found.kind === 'script') session.say(`found an installer: ${found.run}`);
  session.say(`wrote ${shown}; try it with: nixproof test`);
  return EXIT.ok;
}

/** A configuration by another name would be passed over from then on, or pass over the new one. */
async function requireNone(folder: string, file: string, force: boolean): Promise<void> {
  const { CONFIG_NAMES, isFile } = await import('../config/load.js');
  for (const other of CONFIG_NAMES.map((name) => path.join(folder, name))) {
    if ((force && other === file) || !(await isFile(other))) continue;
    const shown = path.relative(process.cwd(), other) || other;
    const hint = other === file ? 'use --force to write over it' : 'move it away to begin anew';
    throw new NixproofError('CONFIG_EXISTS', `${shown} is there already`, { hint });
  }
}
