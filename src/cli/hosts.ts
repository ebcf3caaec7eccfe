import type { Command } from 'commander';
import { hasCode, NixproofError } from '../domain/error.js';
import type { HostStatus } from '../domain/host.js';
import { EXIT } from '../domain/verdict.js';
import type { HostWish } from '../temporal/host-directory.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerHosts(program: Command): void {
  const hosts = program.command('hosts').description('the hosts whose workers serve this Temporal server');
  hosts
    .command('list', { isDefault: true })
    .description('every host: whether it is there, its drivers, labels and room')
    .option('--json', 'print a JSON array')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof hosts list\n  nixproof hosts list --json | jq .[].labels')
    .action((options: CommonOptions) => runCommand(options, list));
  change(hosts, 'drain', 'give a host no more runs; what runs there goes on', { kind: 'drain', drained: true });
  change(hosts, 'undrain', 'give a drained host runs again', { kind: 'drain', drained: false });
  change(hosts, 'forget', 'take a host out of the list that is gone for good', { kind: 'forget' });
}

function change(hosts: Command, name: string, description: string, wish: HostWish): void {
  hosts
    .command(name)
    .description(description)
    .argument('<host>', '', nameOf('host'))
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', `\nExample:\n  nixproof hosts ${name} lab-1-71aa05`)
    .action((host: string, options: CommonOptions) => runCommand(options, (session) => tell(session, host, wish)));
}

async function list(session: Session): Promise<number> {
  const { noteOtherKeys, useServer } = await import('./server.js');
  const { listHosts } = await import('../temporal/host-directory.js');
  await using server = await useServer(session);
  const hosts = await listHosts(server.link.client).catch((error: unknown) => {
    // The note below says it.
    if (hasCode(error, 'SERVER_KEY_DIFFERS')) return [];
    throw error;
  });
  if (session.json) session.printJson(hosts);
  else if (hosts.length === 0) session.say('no worker of this version has been started for this server yet');
  else for (const host of hosts) session.say(row(host));
  await noteOtherKeys(session, server.link, 'hosts');
  return EXIT.ok;
}

function row({
  host,
  alive,
  drained,
  drivers,
  labels,
  cpus,
  machines,
  memoryMiB,
  version,
  lastSeen,
}: HostStatus): string {
  const state = alive ? (drained ? 'drained' : 'ready') : `gone${lastSeen === undefined ? '' : ` since ${lastSeen}`}`;
  const room = `${cpus} cores, ${machines} machines, ${memoryMiB} MiB`;
  return [host, state, drivers.join(' '), labels.join(' '), room, `nixproof ${version}`].join('  ');
}

async function tell(session: Session, host: string, wish: HostWish): Promise<number> {
  const { useServer } = await import('./server.js');
  const { forgetSealed, listHosts, signalHost } = await import('../temporal/host-directory.js');
  const { didYouMean } = await import('../config/suggest.js');
  await using server = await useServer(session);
  const { client } = server.link;
  const done = (await signalHost(client, host, wish)) || (wish.kind === 'forget' && (await forgetSealed(client, host)));
  if (!done) {
    const known = (await listHosts(client)).map((one) => one.host);
    throw new NixproofError(
      'CONFIG_UNKNOWN_HOST',
      `there is no host ${JSON.stringify(host)}${didYouMean(host, known)}`,
      {
        hint: 'see `nixproof hosts` for the hosts there are',
        details: { host, hosts: known },
      },
    );
  }
  session.say(
    wish.kind === 'forget' ? `${host} is forgotten` : `${host} gets ${wish.drained ? 'no more runs' : 'runs again'}`,
  );
  return EXIT.ok;
}
