import type { RunReport } from '../domain/run.js';
import { sourceText } from '../domain/source.js';

/** Makes guest text inert in markdown: code spans cannot be left, and nothing else is interpreted in them. */
export function code(text: string): string {
  return `\`${text.replace(/[`\p{Cc}]/gu, ' ').slice(0, 200)}\``;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** The run as the Temporal UI shows it: the workflow's current details, in markdown. */
export function runDetails(report: RunReport): string {
  // The state may name a phase, which is the guest's word.
  const verdict = report.verdict ? `**${report.verdict}**` : code(report.state);
  const lines = [`### ${code(report.profile)} on ${report.driver}: ${verdict}`];
  if (report.source) lines.push(`- source: ${code(sourceText(report.source))}`);
  if (report.fault) lines.push(`- ${report.fault.code}: ${code(report.fault.message)}`);
  for (const { name, phase, seen } of report.faults) {
    lines.push(`- injected on purpose: **${name}**${phase === '' ? '' : ` in ${code(phase)}`}: ${code(seen)}`);
  }
  for (const phase of report.phases) {
    lines.push(`- ${code(phase.name)}${phase.durationMs > 0 ? ` ${seconds(phase.durationMs)}` : ''}`);
  }
  for (const failure of report.failures)
    lines.push(`- ✗ ${failure.class} in ${code(failure.phase)}: ${code(failure.line)}`);
  for (const heal of report.heals) {
    lines.push(`- ${heal.number}. ${code(heal.name)} for ${heal.class}: **${heal.outcome}**, ${code(heal.reason)}`);
  }
  if (report.pending) {
    lines.push(
      `- ${code(report.pending.name)} waits: \`nixproof approve ${report.run}\` or \`nixproof reject ${report.run}\``,
    );
  }
  for (const check of report.checks) {
    lines.push(
      `- ${check.status === 'pass' ? '✓' : '✗'} ${code(check.name)}${check.status === 'fail' ? ` ${code(check.detail)}` : ''}`,
    );
  }
  lines.push(`- artifacts: ${code(report.artifacts)}`);
  return lines.join('\n');
}
