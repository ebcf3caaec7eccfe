import type { GuestNetwork } from '../../domain/profile.js';
import type { Layout } from '../../host/paths.js';
import { neverBooted, waitForBoot } from '../boot.js';
import { type Guest, waitForGuest } from '../hypervisor/first-guest.js';
import { benchKey } from '../login.js';
import type { Connection, Work } from '../machine.js';
import { machineFolder } from '../record.js';
import { forwardSsh, isDomainActive } from './domain.js';
import { connectFilter } from './guest-io.js';
import type { DomainIdentity } from './identity.js';
import { findAddress } from './network.js';
import type { Address } from './record.js';
import type { Virsh } from './virsh.js';

export interface DomainBoot {
  readonly virsh: Virsh;
  readonly identity: DomainIdentity;
  /** Undefined: user-mode networking. */
  readonly network: string | undefined;
  /** What it may reach in user-mode networking. */
  readonly reach: GuestNetwork;
  /** The pinned host key; undefined where `onHostKey` pins the first one. */
  readonly hostKey: string | undefined;
  readonly onHostKey: (hostKey: string) => Promise<void>;
  readonly consoleLog: string;
  readonly deadlineMs: number;
  /** Whether it starts with its firmware; a restored machine is up already. */
  readonly fromPowerOn: boolean;
  /** What is booting, for people: `the installed system`. */
  readonly what: string;
  /** Given for the base: it may be the first guest under its accelerator. */
  readonly guest?: Guest;
}

/** A domain that answers SSH. */
export interface Answer {
  readonly connection: Connection;
  readonly address: Address;
}

/**
 * Waits until a domain that was just started answers SSH, and finds out where.
 * @throws NixproofError as `waitForBoot` and `waitForGuest` do
 */
export async function waitForDomain(layout: Layout, boot: DomainBoot, work: Work): Promise<Answer> {
  const { virsh, identity, hostKey, deadlineMs, guest, ...rest } = boot;
  const end = performance.now() + deadlineMs;
  const address = await locate(layout, boot, work);
  const { keyFile } = await benchKey(layout);
  const answering = {
    ...rest,
    endpoint: { ...address, user: 'root', keyFile, hostKey },
    isAlive: () => isDomainActive(virsh, identity),
    deadlineMs: Math.max(0, end - performance.now()),
  };
  const connection = await (guest ? waitForGuest(answering, guest, work) : waitForBoot(answering, work));
  return { connection, address };
}

async function locate(layout: Layout, boot: DomainBoot, work: Work): Promise<Address> {
  const { virsh, identity, network, reach, deadlineMs, what, consoleLog } = boot;
  if (network === undefined) {
    const folder = machineFolder(layout, identity.id);
    await connectFilter(virsh, identity, { folder, network: reach }, work.signal);
    return { host: '127.0.0.1', port: await forwardSsh(virsh, identity, work.signal) };
  }
  try {
    return { host: await findAddress(virsh, identity, deadlineMs, work), port: 22 };
  } catch (error) {
    work.signal.throwIfAborted();
    throw await neverBooted(what, consoleLog, error);
  }
}
