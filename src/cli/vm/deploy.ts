import path from 'node:path';
import type { Command } from 'commander';
import { EXIT } from '../../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { nameOf } from '../options.js';
import { attachKnown } from './machines.js';

interface DeployOptions extends CommonOptions {
  readonly to: string;
  readonly exclude?: readonly string[];
}

export function registerDeploy(vm: Command): void {
  vm.command('deploy')
    .description('copy a folder into a machine as a test does: whole, verified, in one step')
    .argument('<machine>', '', nameOf('machine'))
    .argument('[folder]', 'default: the working folder', '.')
    .option('--to <path>', 'where it is put in the machine; what is there is replaced', '/root/config')
    .option('--exclude <pattern>', 'what is not copied, instead of what a test leaves out; again for another', again)
    .option('--json', 'print what was copied as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof vm deploy lab\n  nixproof vm deploy lab ~/flake --to /srv/flake')
    .action((id: string, folder: string, options: DeployOptions) =>
      runCommand(options, (session) => deploy(session, id, folder, options)),
    );
}

function again(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

async function deploy(session: Session, id: string, folder: string, options: DeployOptions): Promise<number> {
  const { deployTree } = await import('../../activities/deploy/deploy.js');
  const { DEFAULT_EXCLUDE } = await import('../../config/profile-schema.js');
  const { bytesText, plural } = await import('../../reports/quantities.js');
  await using machine = await attachKnown(session, id);
  const to = path.posix.resolve('/', options.to);
  const from = path.resolve(folder);
  const tree = await deployTree(
    machine,
    { from, to, exclude: options.exclude ?? DEFAULT_EXCLUDE },
    session.layout.home,
    session,
  );
  if (tree.note !== undefined) session.say(tree.note);
  if (session.json) session.printJson({ machine: id, from, to, ...tree }, 0);
  else session.say(`copied ${plural(tree.files, 'file')}, ${bytesText(tree.bytes)}, to ${machine.resolvePath(to)}`);
  return EXIT.ok;
}
