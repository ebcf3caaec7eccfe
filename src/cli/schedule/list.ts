import type { Command } from 'commander';
import { EXIT } from '../../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { nameOf } from '../options.js';

export function registerScheduleList(schedule: Command): void {
  schedule
    .command('list')
    .description('every schedule: when, next, and what the last firing came to')
    .option('--json', 'print a JSON array')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof schedule list')
    .action((options: CommonOptions) => runCommand(options, listSchedules));
  schedule
    .command('show')
    .description('one schedule in full, with its last firings')
    .argument('<name>', '', nameOf('schedule'))
    .option('--json', 'print JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof schedule show nightly')
    .action((name: string, options: CommonOptions) => runCommand(options, (session) => show(session, name)));
}

async function listSchedules(session: Session): Promise<number> {
  const { noteOtherKeys, useServer } = await import('../server.js');
  const { findSchedule, scheduleNames } = await import('../../temporal/schedules.js');
  const { scheduleJson, scheduleTable } = await import('./view.js');
  await using server = await useServer(session);
  const names = await scheduleNames(server.link);
  const found = await Promise.all(names.map((name) => findSchedule(server.link, name)));
  const schedules = found.filter((one) => one !== undefined);
  if (session.json) session.printJson(schedules.map(scheduleJson));
  else session.print(scheduleTable(schedules));
  await noteOtherKeys(session, server.link, 'schedules');
  return EXIT.ok;
}

async function show(session: Session, name: string): Promise<number> {
  const { useServer } = await import('../server.js');
  const { requireSchedule } = await import('./known.js');
  const { showSchedule } = await import('./view.js');
  await using server = await useServer(session);
  await showSchedule(session, await requireSchedule(server.link, name));
  return EXIT.ok;
}
