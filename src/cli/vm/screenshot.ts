import path from 'node:path';
import type { Command } from 'commander';
import { EXIT } from '../../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { nameOf } from '../options.js';
import { attachKnown, requireAbility } from './machines.js';

interface ScreenshotOptions extends CommonOptions {
  readonly output?: string;
}

export function registerScreenshot(vm: Command): void {
  vm.command('screenshot')
    .description("a machine's screen as a PNG")
    .argument('<machine>', '', nameOf('machine'))
    .option('--output <file>', 'default: MACHINE.png in the working folder')
    .option('--json', 'print where it is as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof vm screenshot RUN --output screen.png')
    .action((id: string, options: ScreenshotOptions) =>
      runCommand(options, (session) => screenshot(session, id, options)),
    );
}

async function screenshot(session: Session, id: string, { output }: ScreenshotOptions): Promise<number> {
  await using machine = await attachKnown(session, id);
  const file = path.resolve(output ?? `${id}.png`);
  await requireAbility(machine, 'screen').screenshot(file, session);
  if (session.json) session.printJson({ machine: id, file }, 0);
  else session.say(`wrote ${output ?? `${id}.png`}`);
  return EXIT.ok;
}
