import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { givenLabels } from '../host/labels.js';
import { repeatable } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerWorker(program: Command): void {
  program
    .command('worker')
    .description('a worker for this host, for a Temporal server elsewhere')
    .option('--label <name>', 'what profiles may ask of this host; may be given again', repeatable('a label'))
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nExamples:\n  TEMPORAL_ADDRESS=temporal.example:7233 nixproof worker\n  nixproof worker --label big --label lab-2',
    )
    .action((options: WorkerCommand) => runCommand(options, (session) => worker(session, options)));
}

interface WorkerCommand extends CommonOptions {
  readonly label?: readonly string[];
}

async function worker(session: Session, { label = [] }: WorkerCommand): Promise<number> {
  const { serverFromEnvironment } = await import('../temporal/server-address.js');
  const { connectClient } = await import('../client.js');
  const { requireSameKey } = await import('../temporal/host-directory.js');
  const { sealingKey } = await import('../temporal/key.js');
  const { runWorker } = await import('../worker.js');
  const labels = givenLabels(label);
  const server = serverFromEnvironment();
  if (!server) {
    throw new NixproofError('CONFIG_NO_SERVER', 'no Temporal server is named', {
      hint: 'set TEMPORAL_ADDRESS or a Temporal configuration profile; for a local stack with its own worker use `nixproof up`',
    });
  }
  // Also adds our search attributes where that is permitted.
  {
    await using link = await connectClient(server, await sealingKey(session.layout));
    await requireSameKey(link.client);
  }
  await runWorker({
    layout: session.layout,
    server,
    labels,
    signal: AbortSignal.any([session.signal, parentsEnd()]),
    onReady: (host) => session.say(`worker of host ${host} polls ${server.address}`),
  });
  return EXIT.ok;
}

/** The local stack's holder keeps our standard input open: when it is gone, so are we. */
function parentsEnd(): AbortSignal {
  const end = new AbortController();
  if (process.env['NIXPROOF_PARENT_PIPE'] === '1')
    process.stdin
      .on('end', () => end.abort())
      .on('close', () => end.abort())
      .resume();
  return end.signal;
}
