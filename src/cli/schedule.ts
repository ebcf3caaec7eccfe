import type { Command } from 'commander';
import { registerScheduleCreate } from './schedule/create.js';
import { registerScheduleList } from './schedule/list.js';
import { registerScheduleHandling } from './schedule/handling.js';

export function registerSchedule(program: Command): void {
  const schedule = program
    .command('schedule')
    .description('nightly and other recurring suites; they fire while a server and a worker run: `nixproof up`')
    .addHelpText('after', '\nExample:\n  nixproof schedule create nightly --cron "0 2 * * *"');
  registerScheduleCreate(schedule);
  registerScheduleList(schedule);
  registerScheduleHandling(schedule);
}
