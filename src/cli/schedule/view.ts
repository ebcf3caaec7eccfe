import { changeText, type Receiver, type Timing } from '../../domain/schedule.js';
import { sourceText, type Source } from '../../domain/source.js';
import { oneLine } from '../../reports/escape.js';
import { lookOf } from '../../reports/outcome.js';
import { durationText } from '../../reports/quantities.js';
import { textTable } from '../../reports/text-table.js';
import type { PastFiring, Schedule } from '../../temporal/schedules.js';
import type { Session } from '../session.js';

/** A schedule as JSON has it. */
export function scheduleJson({ name, timing, suite, paused, next, firings }: Schedule) {
  return {
    name,
    ...timing,
    paused,
    source: suite.source,
    config: suite.config ?? null,
    choice: suite.choice,
    parallel: suite.parallel ?? null,
    timeoutMs: suite.timeoutMs ?? null,
    notify: suite.notify,
    next,
    last: firings[0] === undefined ? null : firingJson(firings[0]),
    firings: firings.map(firingJson),
  };
}

function firingJson({ firing, at, open, result }: PastFiring) {
  const { verdict = null, suite = null, source = null, profiles = [], changes = [], undelivered = [] } = result ?? {};
  const fault = result?.fault;
  return { firing, at, open, verdict, suite, source, profiles, changes, undelivered, ...(fault ? { fault } : {}) };
}

/** A schedule in full. */
export async function showSchedule(session: Session, schedule: Schedule): Promise<void> {
  if (session.json) {
    session.printJson(scheduleJson(schedule));
    return;
  }
  const { name, timing, suite, next, firings } = schedule;
  const { profiles } = suite.choice;
  const rows = [
    ['when', whenText(timing, schedule.paused)],
    ['from', placeText(suite.source)],
    ['profiles', profiles.length === 0 ? 'all' : profiles.join(', ')],
    ...(next.length === 0 ? [] : [['next', next.slice(0, 3).map(timeText).join(', ')]]),
    ...suite.notify.map((receiver) => ['tells', receiverText(receiver)]),
  ];
  const lines = rows.map(([key = '', value = '']) => `  ${key.padEnd(10)}${oneLine(value, 300)}`);
  session.print([name, ...lines, ...firings.flatMap(firingLines)].map((line) => `${line}\n`).join(''));
}

function firingLines({ at, open, result }: PastFiring): readonly string[] {
  if (!result) return [`  ${timeText(at)}  ${open ? '● running' : 'ended from outside'}`];
  const { verdict, suite, source, changes, undelivered, schedule, fault } = result;
  const where = [suite, source === null ? null : sourceText(source)].filter((part) => part !== null).join('  ');
  return [
    `  ${timeText(at)}  ${lookOf(verdict).sign} ${verdict}  ${oneLine(where, 300)}`,
    ...(fault === undefined ? [] : [`    ${fault.code}: ${oneLine(fault.message, 300)}`]),
    ...changes.map((change) => `    ${oneLine(changeText(schedule, null, change), 300)}`),
    ...undelivered.map((what) => `    not delivered: ${oneLine(what, 300)}`),
  ];
}

/** One row a schedule. */
export function scheduleTable(schedules: readonly Schedule[]): string {
  if (schedules.length === 0) return 'no schedules yet: `nixproof schedule create` makes one\n';
  const rows = schedules.map(({ name, timing, paused, next, firings: [last] }) => [
    name,
    whenText(timing, paused),
    next[0] === undefined ? '-' : timeText(next[0]),
    lastText(last),
    last?.result?.suite ?? '-',
  ]);
  return textTable([['name', 'when', 'next', 'last', 'suite'], ...rows]);
}

function lastText(last: PastFiring | undefined): string {
  if (!last) return '-';
  const verdict = last.result?.verdict;
  return verdict === undefined ? (last.open ? '● running' : 'ended') : `${lookOf(verdict).sign} ${verdict}`;
}

function whenText({ cron, everyMs, timezone }: Timing, paused: boolean): string {
  const when = [
    ...(cron === undefined ? [] : [`${cron} ${timezone}`]),
    ...(everyMs === undefined ? [] : [`every ${durationText(everyMs)}`]),
  ].join(' and ');
  return paused ? `${when} (paused)` : when;
}

function placeText(source: Source): string {
  if (source.kind === 'folder') return `${source.path} (a copy each time, on this host only)`;
  return `${source.repository} ${source.ref}${source.folder === '' ? '' : ` in ${source.folder}`}`;
}

function receiverText(receiver: Receiver): string {
  if (receiver.kind === 'command') return `the command: ${receiver.command}`;
  return receiver.key === undefined ? receiver.url : `${receiver.url}, signed with ${receiver.key}`;
}

/** As this host's clock has it. */
function timeText(iso: string): string {
  const date = new Date(iso);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
