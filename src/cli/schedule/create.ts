import { Option, type Command } from 'commander';
import { NixproofError } from '../../domain/error.js';
import { DRIVER_NAMES, HEAL_POLICIES, type HealingPolicy } from '../../domain/profile.js';
import { OVERLAPS, type Overlap, type ScheduledSuite, type Timing } from '../../domain/schedule.js';
import { EXIT } from '../../domain/verdict.js';
import {
  choiceOf,
  drivers,
  duration,
  list,
  nameOf,
  parallelism,
  repeatable,
  wholeNumber,
  type ChoiceOptions,
} from '../options.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { receiversOf, withSecrets } from './receivers.js';
import { sourceOf } from './from.js';
import { timezone } from './timezone.js';
import { showSchedule } from './view.js';

interface CreateOptions extends CommonOptions, ChoiceOptions {
  readonly cron?: string;
  readonly every?: number;
  readonly timezone?: string;
  readonly profiles?: readonly string[];
  readonly from: string;
  readonly ref?: string;
  readonly config?: string;
  readonly heal?: HealingPolicy['policy'];
  readonly parallel?: 'auto' | number;
  readonly timeout?: number;
  readonly overlap: Overlap;
  readonly catchup: number;
  readonly jitter?: number;
  readonly paused?: boolean;
  readonly notifyUrl?: readonly string[];
  readonly notifyCommand?: readonly string[];
  readonly notifyKey?: string;
}

const HOUR_MS = 3_600_000;

export function registerScheduleCreate(schedule: Command): void {
  schedule
    .command('create')
    .description('test a configuration again and again, each time as it is then')
    .argument('<name>', '', nameOf('schedule'))
    .option('--cron <expression>', 'minute, hour, day of the month, month, day of the week')
    .option('--every <duration>', 'so often, such as 6h', duration)
    .option('--timezone <zone>', "what the cron expression is read in; default: this host's", timezone)
    .option('--profiles <names>', 'default: all that the configuration has then', list)
    .option('--from <place>', "a git repository's address, or a folder", '.')
    .option('--ref <ref>', "the branch, tag or commit; default: the repository's HEAD")
    .option('--config <path>', 'the configuration in it; default: found by its name')
    .option('--driver <names>', `how machines are driven: ${DRIVER_NAMES.join(', ')}`, drivers)
    .option('--base <bases>', 'what machines boot, instead of what the profiles say', list)
    .addOption(new Option('--heal <policy>', 'what to do about failures').choices(HEAL_POLICIES))
    .option('--max-heals <n>', 'how many heals a run may have', wholeNumber)
    .option('--parallel <n>', 'how many at once: a number, or auto', parallelism)
    .option('--timeout <duration>', 'a limit for each run as a whole', duration)
    .addOption(
      new Option('--overlap <policy>', 'what to do while the firing before goes on').choices(OVERLAPS).default('skip'),
    )
    .addOption(
      new Option('--catchup <duration>', 'make up for firings missed by no more than this')
        .argParser(duration)
        .default(HOUR_MS, '1h'),
    )
    .option('--untrusted', 'the configuration may run nothing on a host and read nothing outside its repository')
    .option('--jitter <duration>', 'each firing is late by a random time up to this', duration)
    .option('--paused', 'it does not fire before `nixproof schedule resume`')
    .option(
      '--notify-url <url>',
      'POST changes of verdict there: an address, env:NAME, file:/PATH or secret:NAME; repeatable',
      repeatable('an address'),
    )
    .option('--notify-key <key>', 'env:NAME or file:/PATH on the worker: what URLs are told is signed with it')
    .option(
      '--notify-command <command>',
      'run this on the worker with a change as JSON on its input; repeatable',
      repeatable('a command'),
    )
    .option('--json', 'print the schedule as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      `
Examples:
  nixproof schedule create nightly --cron "0 2 * * *"
  nixproof schedule create main --every 6h --from https://git.example/me/hosts --ref main --profiles vm,server
  nixproof schedule create nightly --cron @daily --notify-url env:CHAT_WEBHOOK`,
    )
    .action((name: string, options: CreateOptions) => runCommand(options, (session) => create(session, name, options)));
}

async function create(session: Session, name: string, options: CreateOptions): Promise<number> {
  requireName(name);
  const timing = timingOf(options);
  const receivers = receiversOf(options.notifyUrl ?? [], options.notifyCommand ?? [], options.notifyKey);
  const source = await sourceOf(options.from, options.ref, session);
  const { heal, parallel, timeout, config } = options;
  const suite = (searchAttributes: boolean, notify = receivers): ScheduledSuite => ({
    schedule: name,
    source,
    ...(config === undefined ? {} : { config }),
    choice: choiceOf(options.profiles ?? [], options, heal),
    ...(parallel === undefined ? {} : { parallel }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    searchAttributes,
    notify,
  });
  // What is wrong is said now, and not at night.
  const { previewSource } = await import('../../suites/from-source.js');
  const preview = await previewSource(suite(false), session);
  const notify = withSecrets(receivers, preview.secrets, options.untrusted === true);
  const { useServer } = await import('../server.js');
  const { createSchedule, findSchedule } = await import('../../temporal/schedules.js');
  await using server = await useServer(session);
  session.signal.throwIfAborted();
  await createSchedule(server.link, timing, suite(server.link.searchAttributes, notify), options.paused ?? false);
  const { sourceText } = await import('../../domain/source.js');
  session.say(
    `would test now: ${preview.profiles.map((profile) => profile.name).join(', ')} (${sourceText(preview.source)})`,
  );
  const made = await findSchedule(server.link, name);
  if (made) await showSchedule(session, made);
  session.say('it fires only while a server and a worker run: `nixproof up`, or a worker as a service');
  return EXIT.ok;
}

function timingOf({ cron, every, timezone: zone, overlap, catchup, jitter }: CreateOptions): Timing {
  if (cron === undefined && every === undefined) {
    throw new NixproofError('CONFIG_FLAG', 'when is it to fire?', {
      hint: 'give --cron "0 2 * * *", or --every 6h',
      details: { flag: '--cron' },
    });
  }
  return {
    ...(cron === undefined ? {} : { cron }),
    ...(every === undefined ? {} : { everyMs: every }),
    timezone: zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    overlap,
    catchupMs: catchup,
    ...(jitter === undefined ? {} : { jitterMs: jitter }),
  };
}

/** It is part of workflows' ids and of messages. */
function requireName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return;
  throw new NixproofError('CONFIG_FLAG', `${JSON.stringify(name)} cannot be a schedule's name`, {
    hint: 'use up to 63 letters, digits, dots, hyphens and underscores, beginning with a letter or digit',
  });
}
