import type { Command } from 'commander';
import type { Statistics } from '../history/statistics.js';
import type { Slower } from '../history/trend.js';
import { EXIT } from '../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerStats(program: Command): void {
  program
    .command('stats')
    .description('durations, failure classes and heal success over all runs recorded on this host')
    .option('--json', 'print JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof stats\n  nixproof stats --json | jq .heals')
    .action((options: CommonOptions) => runCommand(options, stats));
}

async function stats(session: Session): Promise<number> {
  const { openRunIndex } = await import('../history/run-index.js');
  const { pastRuns } = await import('../history/past-runs.js');
  const { statisticsOf } = await import('../history/statistics.js');
  await using index = await openRunIndex(session.layout, session.progress);
  const statistics = statisticsOf(pastRuns(index));
  if (session.json) session.printJson(statistics);
  else session.print(await inText(statistics));
  return EXIT.ok;
}

async function inText({ runs, profiles, failures, heals, slowest }: Statistics): Promise<string> {
  const { slowerText, sparkline } = await import('../history/trend.js');
  const trendText = (trend: readonly number[], slower?: Slower) =>
    `${trend.length > 2 ? `  ${sparkline(trend)}` : ''}${slower ? `  ${slowerText(slower)}` : ''}`;
  const { durationText, plural } = await import('../reports/quantities.js');
  const { oneLine } = await import('../reports/escape.js');
  if (runs === 0) return 'no runs have ended yet: `nixproof test` starts one\n';
  const lines = [plural(runs, 'run')];
  for (const { profile, verdicts, medianMs, phases, trend, slower, steadiness } of profiles) {
    const told = Object.entries(verdicts).flatMap(([verdict, count]) => (count > 0 ? [`${count} ${verdict}`] : []));
    const took = medianMs === null ? '' : `, median ${durationText(medianMs)}`;
    lines.push('', `${oneLine(profile, 80)}: ${told.join(', ')}${took}${trendText(trend, slower)}`);
    if (steadiness.changes > 1) {
      lines.push(`  its verdict changed ${steadiness.changes} times in the last ${steadiness.runs} runs`);
    }
    for (const { name, medianMs: usual, lastMs, trend: own, slower: late } of phases) {
      const usually = `median ${durationText(usual)}, last ${durationText(lastMs)}`;
      lines.push(`  ${oneLine(name, 60)}  ${usually}${trendText(own, late)}`);
    }
  }
  if (slowest.length > 1) lines.push('', 'slowest phases');
  for (const { profile, name, medianMs } of slowest) {
    lines.push(`  ${oneLine(profile, 40)} ${oneLine(name, 60)}  median ${durationText(medianMs)}`);
  }
  if (failures.length > 0) lines.push('', 'failures');
  for (const { class: failureClass, count } of failures) lines.push(`  ${oneLine(failureClass, 60)}  ${count}`);
  if (heals.length > 0) lines.push('', 'heals');
  for (const { name, class: failureClass, worked, noEffect, failed, rejected } of heals) {
    const tried = worked + noEffect + failed;
    const refused = rejected > 0 ? `, rejected ${rejected}` : '';
    lines.push(
      `  ${oneLine(name, 60)} for ${oneLine(failureClass, 60)}  worked ${worked} of ${tried}${refused}${await sureness(worked, tried)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** How sure so few or many outcomes make us, before anything else is known: the mean of a Beta posterior and twice its deviation. */
async function sureness(worked: number, tried: number): Promise<string> {
  if (tried === 0) return '';
  const { posterior } = await import('../healing/beta.js');
  const { alpha, beta } = posterior(0.5, { worked, notWorked: tried - worked });
  const sum = alpha + beta;
  const deviation = Math.sqrt((alpha * beta) / (sum ** 2 * (sum + 1)));
  return ` (${Math.round((100 * alpha) / sum)} ± ${Math.round(200 * deviation)} %)`;
}
