import type { Command } from 'commander';
import { hasCode, NixproofError } from '../../domain/error.js';
import { EXIT } from '../../domain/verdict.js';
import type { ServerUse } from '../server.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { nameOf } from '../options.js';

/** What is done to a schedule that there is; gives what to say. */
type Act = (server: ServerUse, name: string) => Promise<string>;

interface HandlingOptions extends CommonOptions {
  readonly force?: boolean;
}

const ACTS: Readonly<Record<string, { readonly description: string; readonly act: Act }>> = {
  pause: {
    description: 'it does not fire any more until it is resumed',
    act: (server, name) => hold(server, name, true),
  },
  resume: { description: 'let a paused schedule fire again', act: (server, name) => hold(server, name, false) },
  trigger: { description: 'fire now, paused or not', act: fire },
  delete: { description: 'remove it; a firing that goes on goes on to its end', act: remove },
};

export function registerScheduleHandling(schedule: Command): void {
  for (const [verb, { description, act }] of Object.entries(ACTS)) {
    const command = schedule
      .command(verb)
      .description(description)
      .argument('<name>', '', nameOf('schedule'))
      .option('--verbose', 'show stack traces of faults')
      .addHelpText('after', `\nExample:\n  nixproof schedule ${verb} nightly`)
      .action((name: string, options: HandlingOptions) =>
        runCommand(options, (session) => perform(session, name, act, options)),
      );
    if (verb === 'delete') command.option('--force', 'also one that another key seals');
  }
}

async function perform(session: Session, name: string, act: Act, { force = false }: HandlingOptions): Promise<number> {
  const { requireSchedule } = await import('./known.js');
  const { useServer } = await import('../server.js');
  await using server = await useServer(session);
  await requireSchedule(server.link, name).catch((error: unknown) => {
    if (!hasCode(error, 'SERVER_KEY_DIFFERS')) throw error;
    if (force) return;
    throw new NixproofError(error.code, `the schedule ${name} is sealed with another key than yours`, {
      hint: `name the file with its key in NIXPROOF_KEY_FILE, or remove it: \`nixproof schedule delete --force ${name}\``,
      details: error.details,
    });
  });
  session.say(await act(server, name));
  return EXIT.ok;
}

async function hold({ link }: ServerUse, name: string, paused: boolean): Promise<string> {
  const { setPaused } = await import('../../temporal/schedules.js');
  await setPaused(link, name, paused);
  return paused ? `${name} is paused` : `${name} fires again`;
}

async function remove({ link }: ServerUse, name: string): Promise<string> {
  const { deleteSchedule } = await import('../../temporal/schedules.js');
  await deleteSchedule(link, name);
  return `deleted ${name}`;
}

async function fire(server: ServerUse, name: string): Promise<string> {
  const { trigger } = await import('../../temporal/schedules.js');
  const firing = await trigger(server.link, name);
  if (firing === undefined) return `the firing before goes on, and ${name} is told what to do then with --overlap`;
  // A local stack stays until it has ended.
  await server.holdFor(firing);
  return `${firing} has begun: see \`nixproof schedule show ${name}\``;
}
