import type { RunReport } from '../domain/run.js';
import { oneLine } from './escape.js';
import { patchCommand } from './heals.js';
import { decidingFailure } from './outcome.js';

const MESSAGE_CHARS = 300;
/** A place in the deployed tree, as tools name it: `at /root/config/flake.nix:12:5`. */
const PLACE = /(?:^|[\s('"])(?:\/root\/config\/|\.\/)?([\w+-][\w.+-]*(?:\/[\w+-][\w.+-]*)*\.\w+):(\d+)(?::(\d+))?/;

/**
 * What went wrong in these runs as commands of GitHub's runner, one a line: an error at the file and line that the failing line
 * names, else at none; a warning for a run that had to be healed. Nothing in guest text can end its line, so nothing in it is a command.
 */
export function renderAnnotations(runs: readonly RunReport[]): string {
  return runs.flatMap(annotationsOf).join('');
}

function annotationsOf(run: RunReport): readonly string[] {
  const { verdict, profile, checks, heals, fault } = run;
  if (verdict === 'healed') {
    const names = heals.filter(({ outcome }) => outcome === 'worked').map(({ name }) => name);
    return [annotation('warning', `${profile} was healed`, `needed ${names.join(', ')}${remedy(run)}`)];
  }
  if (verdict === 'error') {
    return [annotation('error', `${profile}: the bench's own fault`, `${fault?.code ?? ''} ${fault?.message ?? ''}`)];
  }
  if (verdict !== 'failed') return [];
  const last = decidingFailure(run);
  const failed = last
    ? [
        annotation(
          'error',
          `${profile}: ${last.class}${last.phase === '' ? '' : ` in ${last.phase}`}`,
          last.line,
          placeIn(last.line),
        ),
      ]
    : [];
  const red = checks.filter(({ status }) => status === 'fail');
  return [...failed, ...red.map(({ name, detail }) => annotation('error', `${profile}: ${name}`, detail))];
}

/** What a healed run asks of its reader. */
function remedy(run: RunReport): string {
  if (run.faults.length > 0) return ' against faults that were injected on purpose';
  const command = patchCommand(run);
  return command === undefined ? '; nothing in the configuration was changed' : `: \`${command}\` has what to commit`;
}

function placeIn(line: string): Readonly<Record<string, string>> {
  const [, file, row, column] = PLACE.exec(line) ?? [];
  if (file === undefined || row === undefined) return {};
  return { file, line: row, ...(column === undefined ? {} : { col: column }) };
}

function annotation(
  level: 'error' | 'warning',
  title: string,
  message: string,
  place: Readonly<Record<string, string>> = {},
): string {
  const properties = Object.entries({ ...place, title: oneLine(title, 100) });
  const list = properties.map(
    ([name, value]) => `${name}=${data(value).replaceAll(':', '%3A').replaceAll(',', '%2C')}`,
  );
  return `::${level} ${list.join(',')}::${data(oneLine(message, MESSAGE_CHARS))}\n`;
}

/** As the runner unescapes it (actions/toolkit, command.ts: escapeData, escapeProperty). */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
