import path from 'node:path';
import { runCommand } from '../../src/host/process.js';
import { ROOT } from './pages.js';

export const PROGRAM = path.join(ROOT, 'dist/cli/main.js');

/** What `--help` says of one command. */
export interface Help {
  readonly options: ReadonlySet<string>;
  readonly commands: ReadonlyMap<string, Help>;
}

/** The built command line's own account of itself, subcommands and all. */
export async function readHelp(argv: readonly string[] = []): Promise<Help> {
  const text = await runCommand(process.execPath, [PROGRAM, ...argv, '--help']);
  const options = [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = '']) => option);
  const list = /^Commands:\n((?: {2}.*\n?)+)/m.exec(text)?.[1] ?? '';
  const names = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
  const commands = await Promise.all(names.map(async (name) => [name, await readHelp([...argv, name])] as const));
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
