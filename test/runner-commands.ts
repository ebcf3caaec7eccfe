/**
 * What GitHub's runner obeys in a step's output, by its own rules (actions/runner:
 * ActionCommand.cs, ActionCommandManager.cs): a line is a command where it begins, blanks aside,
 * with `::NAME …::`, or has `##[NAME …]` somewhere; names are known ones, in any case; after
 * `stop-commands` none is obeyed until its word comes as a command.
 */
const NAMES = [
  ...['stop-commands', 'set-env', 'set-output', 'save-state', 'add-mask', 'add-path', 'add-matcher', 'remove-matcher'],
  ...['debug', 'notice', 'warning', 'error', 'echo', 'group', 'endgroup', 'internal-set-repo-path'],
];

interface Command {
  readonly name: string;
  readonly data: string;
}

/**
 * The commands obeyed in an output, in order; the word that ends a `stop-commands` is one of them.
 */
export function obeyed(output: string): readonly Command[] {
  const known = new Set(NAMES);
  const commands: Command[] = [];
  let stopped: string | undefined;
  for (const line of output.split(/\r\n|\r|\n/)) {
    const command = behindColons(line, known) ?? inBrackets(line, known);
    if (!command) continue;
    if (stopped !== undefined && command.name !== stopped) continue;
    commands.push(command);
    if (stopped !== undefined) {
      known.delete(stopped);
      stopped = undefined;
    } else if (command.name === 'stop-commands') {
      stopped = command.data.toLowerCase();
      known.add(stopped);
    }
  }
  return commands;
}

function behindColons(line: string, known: ReadonlySet<string>): Command | undefined {
  const text = line.replace(/^[\s\x85]+/, '');
  const end = text.startsWith('::') ? text.indexOf('::', 2) : -1;
  return end < 0 ? undefined : commandOf(text.slice(2, end), text.slice(end + 2), known);
}

function inBrackets(line: string, known: ReadonlySet<string>): Command | undefined {
  const start = line.indexOf('##[');
  const end = start < 0 ? -1 : line.indexOf(']', start);
  return end < 0 ? undefined : commandOf(line.slice(start + 3, end), line.slice(end + 1), known);
}

function commandOf(info: string, data: string, known: ReadonlySet<string>): Command | undefined {
  const name = (info.split(' ', 1)[0] ?? '').toLowerCase();
  return known.has(name) ? { name, data } : undefined;
}
