import { Argument, type Command } from 'commander';
import { EXIT } from '../domain/verdict.js';
import { suggestions } from './suggestions.js';
import { runCommand, type Session } from './session.js';

/** What a shell runs at a press of the tab key: it asks `nixproof __complete` with the words so far, the last one unfinished. */
const SCRIPTS = {
  bash: `_nixproof() {
  local IFS=$'\\n'
  COMPREPLY=($(nixproof __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _nixproof nixproof
`,
  zsh: `#compdef nixproof
_nixproof() {
  local -a found
  found=("\${(@f)$(nixproof __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _nixproof nixproof
`,
  fish: `function __nixproof_complete
    set -l words (commandline -opc) (commandline -ct)
    nixproof __complete -- $words[2..] 2>/dev/null
end
complete -c nixproof -f -a '(__nixproof_complete)'
`,
} as const;
type Shell = keyof typeof SCRIPTS;

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the script that completes commands, options, profiles and runs in a shell')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
Examples:
  nixproof completion bash >~/.local/share/bash-completion/completions/nixproof
  nixproof completion zsh >"\${fpath[1]}/_nixproof"
  nixproof completion fish >~/.config/fish/completions/nixproof.fish`,
    )
    .action((shell: Shell) =>
      runCommand({}, (session) => {
        session.print(SCRIPTS[shell]);
        return Promise.resolve(EXIT.ok);
      }),
    );
  program
    .command('__complete', { hidden: true })
    .description('what may stand in the place of the last word, a line each')
    .argument('[words...]')
    .action((words: string[]) => runCommand({}, (session) => complete(session, program, words)));
}

async function complete(session: Session, program: Command, words: readonly string[]): Promise<number> {
  const found = await suggestions(program, words, session.layout);
  session.print(found.map((word) => `${word}\n`).join(''));
  return EXIT.ok;
}
