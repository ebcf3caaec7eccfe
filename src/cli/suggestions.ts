import { readdir } from 'node:fs/promises';
import type { Command, Option } from 'commander';
import { DRIVER_NAMES } from '../domain/profile.js';
import type { Layout } from '../host/paths.js';

/** Words that depend on what there is: by the name of an argument, or an option's. */
const SOURCES: Readonly<Record<string, (layout: Layout) => Promise<readonly string[]>>> = {
  run: ({ runs }) => folders(runs),
  machine: ({ machines }) => folders(machines),
  profiles: profiles,
  driver: () => Promise.resolve(DRIVER_NAMES),
  inject: async () => {
    const { FAULTS } = await import('../faults/index.js');
    return FAULTS.map(({ name }) => name);
  },
};

/**
 * What may stand in the place of the last word of a command line that is not finished.
 * @param words behind `nixproof`; the last one may be empty
 */
export async function suggestions(
  program: Command,
  words: readonly string[],
  layout: Layout,
): Promise<readonly string[]> {
  const last = words.at(-1) ?? '';
  const { command, awaiting, given } = readWords(program, words.slice(0, -1));
  const all = await (awaiting ? valuesOf(awaiting, layout) : wordsOf(command, { last, given }, layout));
  return [...new Set(all)].filter((word) => word.startsWith(last));
}

interface Read {
  readonly command: Command;
  /** The option whose value comes next. */
  readonly awaiting: Option | undefined;
  /** How many arguments there are already. */
  readonly given: number;
}

function readWords(program: Command, words: readonly string[]): Read {
  let read: Read = { command: program, awaiting: undefined, given: 0 };
  for (const word of words) {
    const { command, awaiting, given } = read;
    if (awaiting) read = { command, awaiting: undefined, given };
    else if (word.startsWith('-')) {
      const option = command.options.find(({ long, short }) => long === word || short === word);
      read = { command, awaiting: option?.required === true ? option : undefined, given };
    } else {
      const below = command.commands.find((one) => one.name() === word);
      read = below
        ? { command: below, awaiting: undefined, given: 0 }
        : { command, awaiting: undefined, given: given + 1 };
    }
  }
  return read;
}

async function valuesOf(option: Option, layout: Layout): Promise<readonly string[]> {
  return option.argChoices ?? (await SOURCES[option.attributeName()]?.(layout)) ?? [];
}

async function wordsOf(
  command: Command,
  { last, given }: { readonly last: string; readonly given: number },
  layout: Layout,
): Promise<readonly string[]> {
  const options = [...command.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? ''), '--help'];
  if (last.startsWith('-')) return options;
  const visible = command.createHelp().visibleCommands(command);
  const below = visible.map((one) => one.name()).filter((name) => name !== 'help');
  if (below.length > 0) return below;
  const argument =
    command.registeredArguments[given] ?? command.registeredArguments.findLast(({ variadic }) => variadic);
  if (!argument) return options;
  return argument.argChoices ?? (await SOURCES[argument.name()]?.(layout)) ?? [];
}

/** Newest first: their names end in the time. */
async function folders(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const stamp = (name: string) => name.split('-').slice(-3).join('-');
  return names.filter((name) => !name.startsWith('.')).sort((a, b) => stamp(b).localeCompare(stamp(a)));
}

/**
 * Of the nearest configuration that is data: one that is a program may be anybody's, and is not run
 * for a key press. A flake's hosts take Nix too long to tell.
 */
async function profiles(): Promise<readonly string[]> {
  const { findConfig, isData, loadConfig } = await import('../config/load.js');
  try {
    const file = await findConfig(process.cwd());
    if (file === undefined || !isData(file)) return [];
    return Object.keys((await loadConfig(file)).config.profiles);
  } catch {
    return [];
  }
}
