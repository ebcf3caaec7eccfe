import type { ServerLink } from '../../client.js';
import { didYouMean } from '../../config/suggest.js';
import { NixproofError } from '../../domain/error.js';
import { findSchedule, scheduleNames, type Schedule } from '../../temporal/schedules.js';

/** @throws NixproofError `CONFIG_UNKNOWN_SCHEDULE` */
export async function requireSchedule(link: ServerLink, name: string): Promise<Schedule> {
  const found = await findSchedule(link, name);
  if (found) return found;
  throw new NixproofError(
    'CONFIG_UNKNOWN_SCHEDULE',
    `there is no schedule ${JSON.stringify(name)}${didYouMean(name, await scheduleNames(link))}`,
    { hint: 'see `nixproof schedule list`' },
  );
}
