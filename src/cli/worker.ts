import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerWorker(program: Command): void {
  program
    .command('worker')
    .description('a worker for this host, for a Temporal server elsewhere')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  TEMPORAL_ADDRESS=temporal.example:7233 nixproof worker')
    .action((options: CommonOptions) => runCommand(options, worker));
}

async function worker(session: Session): Promise<number> {
  const { serverFromEnvironment } = await import('../server-address.js');
  const { connectClient } = await import('../client.js');
  const { runWorker } = await import('../worker.js');
  const server = serverFromEnvironment();
  if (!server) {
    throw new NixproofError('CONFIG_NO_SERVER', 'no Temporal server is named', {
      hint: 'set TEMPORAL_ADDRESS or a Temporal configuration profile; for a local stack with its own worker use `nixproof up`',
    });
  }
  // Also adds our search attributes where that is permitted.
  await (await connectClient(server))[Symbol.asyncDispose]();
  await runWorker({
    layout: session.layout,
    server,
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
