import { execa } from 'execa';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import type { DriverProbe } from '../../src/machines/machine.js';

/** A network namespace, linked to this host's by a cable that can be pulled: what makes a process another host's, as far as the network goes. */
export interface OwnNetwork extends AsyncDisposable {
  /** This host's address on the cable. */
  readonly outside: string;
  /** The command that runs another one inside. */
  readonly inside: readonly string[];
  /** From here on every packet is lost, and nobody is told. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

const ip = (...args: string[]) => execa('ip', args);

/** Whether there can be one: it takes root and iproute2. */
export async function probeNetworks(): Promise<DriverProbe> {
  try {
    await using network = await ownNetwork(200);
    await execa(network.inside[0] ?? '', [...network.inside.slice(1), 'true']);
    return { available: true, detail: 'network namespaces' };
  } catch (error) {
    return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', messageOf(error)) };
  }
}

/** @param number another one for each that there is at a time, below 250 */
export async function ownNetwork(number: number): Promise<OwnNetwork> {
  const tag = `${process.pid % 100_000}-${number}`;
  const [name, near, far] = [`np-${tag}`, `npa${tag}`, `npb${tag}`];
  // Of this process: one that a killed test left behind does not collide.
  const subnet = `10.${number}.${process.pid % 250}`;
  const outside = `${subnet}.1`;
  const network: OwnNetwork = {
    outside,
    inside: ['ip', 'netns', 'exec', name],
    async cut() {
      await ip('link', 'set', near, 'down');
    },
    async mend() {
      await ip('link', 'set', near, 'up');
    },
    async [Symbol.asyncDispose]() {
      await ip('link', 'del', near).catch(() => undefined);
      await ip('netns', 'del', name).catch(() => undefined);
    },
  };
  await ip('netns', 'add', name);
  try {
    await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
    await ip('addr', 'add', `${outside}/24`, 'dev', near);
    await ip('link', 'set', near, 'up');
    await ip('-n', name, 'link', 'set', 'lo', 'up');
    await ip('-n', name, 'addr', 'add', `${subnet}.2/24`, 'dev', far);
    await ip('-n', name, 'link', 'set', far, 'up');
    return network;
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}
