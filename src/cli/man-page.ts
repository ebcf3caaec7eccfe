import type { Command } from 'commander';

/** The manual page of a command line, in roff (man(7)): each command's help as `--help` prints it. */
export function manPage(program: Command): string {
  const commands = leaves(program, []).map(
    ({ path, command }) => `.SS ${escaped(path.join(' '))}\n.nf\n${escaped(helpOf(command))}\n.fi`,
  );
  return `${[
    '.TH NIXPROOF 1 "" "nixproof" "User Commands"',
    '.SH NAME',
    `nixproof \\- ${escaped(program.description())}`,
    '.SH SYNOPSIS',
    '.B nixproof',
    '\\fIcommand\\fR [\\fIoptions\\fR]',
    '.SH COMMANDS',
    ...commands,
    '.SH EXIT STATUS',
    '0 passed or healed; 1 failed; 2 usage or configuration; 3 the bench\\(aqs own fault; 130 interrupted or cancelled.',
  ].join('\n')}\n`;
}

interface Leaf {
  readonly path: readonly string[];
  readonly command: Command;
}

/** Every command that does something. */
export function leaves(command: Command, path: readonly string[]): readonly Leaf[] {
  const visible = command.createHelp().visibleCommands(command);
  const below = visible.filter((one) => one.name() !== 'help');
  if (below.length === 0) return [{ path, command }];
  return below.flatMap((one) => leaves(one, [...path, one.name()]));
}

/** What `--help` prints, examples and all. */
export function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return text.trimEnd();
}

/** Plain text for roff: nothing in it is a request or an escape. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')
    .replace(
      /[^\x00-\x7f]/g,
      (letter) => `\\[u${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
