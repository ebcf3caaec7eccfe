import path from 'node:path';
import type { Command } from 'commander';
import { helpOf } from '../../src/cli/man-page.js';
import { createProgram } from '../../src/cli/program.js';
import { ROOT } from './pages.js';

export const PROGRAM = path.join(ROOT, 'dist/cli/main.js');

/** What `--help` says of one command. */
export interface Help {
  readonly options: ReadonlySet<string>;
  readonly commands: ReadonlyMap<string, Help>;
}

/** The command line's own account of itself, subcommands and all. */
export function readHelp(command: Command = createProgram()): Help {
  const options = [...helpOf(command).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = '']) => option);
  const below = command.createHelp().visibleCommands(command);
  const commands = below.filter((one) => one.name() !== 'help').map((one) => [one.name(), readHelp(one)] as const);
  return { options: new Set(options), commands: new Map(commands) };
}

/** Every option of a command and those below it. */
export function allOptions({ options, commands }: Help): ReadonlySet<string> {
  return new Set([...options, ...[...commands.values()].flatMap((help) => [...allOptions(help)])]);
}

/** What a text says of `nixproof …` that is not so. */
export function falseMentions(text: string, help: Help): readonly string[] {
  const mentions = [...text.matchAll(/(?<![\w/.-])nixproof ((?:[^\s|&;#`]+ ?)+)/g)];
  return mentions.flatMap(([whole, rest = '']) => {
    const words = rest.trim().split(' ');
    let command = help;
    let at = 0;
    for (let next = command.commands.get(words[at] ?? ''); next; next = command.commands.get(words[at] ?? '')) {
      command = next;
      at++;
    }
    const first = words[at];
    if (command.commands.size > 0 && first !== undefined && !first.startsWith('-')) return [`${whole}: ${first}`];
    const end = words.indexOf('--', at);
    return words
      .slice(at, end < 0 ? undefined : end)
      .map((word) => /^\[?(--[a-z][a-z-]*)/.exec(word)?.[1])
      .filter((option) => option !== undefined && !command.options.has(option))
      .map((option) => `${whole}: ${option ?? ''}`);
  });
}
