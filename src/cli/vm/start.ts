import { Option, type Command } from 'commander';
import { NixproofError } from '../../domain/error.js';
import type { DriverName, Firmware, MachineShape } from '../../domain/profile.js';
import { EXIT } from '../../domain/verdict.js';
import type { MadeOf } from '../../machines/by-hand.js';
import type { Machine } from '../../machines/machine.js';
import type { Registry } from '../../machines/registry.js';
import { nameOf, numberFrom, sizeInBytes } from '../options.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { registryOf, registryOfKnown, requireIdle } from './machines.js';

interface StartOptions extends CommonOptions {
  readonly driver?: DriverName;
  readonly base?: string;
  readonly memory?: number;
  readonly cpus?: number;
  readonly disk?: readonly number[];
  readonly firmware?: Firmware;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,59}$/;

export function registerStart(vm: Command): void {
  vm.command('start')
    .description('make a pristine machine by hand, and leave it running')
    .argument('[name]', 'letters, digits and dashes; default: vm- and a stamp', nameOf('machine'))
    .addOption(new Option('--driver <name>', 'how it is driven; default: qemu').choices(['qemu', 'libvirt', 'sandbox']))
    .option('--base <base>', 'what it boots; default: debian, where it boots anything')
    .option('--memory <mib>', 'default: 2048', numberFrom(128))
    .option('--cpus <n>', 'default: 2', numberFrom(1))
    .option('--disk <size>', 'a target disk such as 20G (the default); again for another', disks)
    .addOption(new Option('--firmware <kind>', 'default: uefi where there is OVMF').choices(['uefi', 'bios']))
    .option('--json', 'print the machine as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nExamples:\n  nixproof vm start\n  nixproof vm start lab --memory 4096 --disk 20G --disk 1G --firmware bios\n  nixproof vm start scratch --driver sandbox',
    )
    .action((name: string | undefined, options: StartOptions) =>
      runCommand(options, (session) => start(session, name, options)),
    );
}

export function registerClean(vm: Command): void {
  vm.command('clean')
    .description('put a machine back to pristine: destroy it and make the same again, under the same name')
    .argument('<machine>', 'one made by `vm start`, or kept by a run that has ended', nameOf('machine'))
    .option('--json', 'print the machine as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof vm clean lab')
    .action((id: string, options: CommonOptions) => runCommand(options, (session) => clean(session, id)));
}

function disks(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, sizeInBytes(text)];
}

async function start(session: Session, given: string | undefined, options: StartOptions): Promise<number> {
  const { newStamp } = await import('../../suites/plan.js');
  const id = given ?? `vm-${newStamp()}`;
  requireName(id);
  const base = await baseOf(options);
  const shape = await shapeOf(options);
  const registry = await registryOf(session);
  const { withLock } = await import('../../host/lock.js');
  const { makingLock } = await import('../../machines/by-hand.js');
  const onWait = () => session.progress(`another process makes ${id}: waiting for it`);
  return withLock(makingLock(session.layout, id), { signal: session.signal, onWait }, async () => {
    await requireFree(session, registry, id);
    const driver = options.driver ?? (await qemuWhereItWorks(session, registry));
    return make(session, registry, { id, driver, base, shape });
  });
}

function requireName(id: string): void {
  if (NAME.test(id)) return;
  throw new NixproofError('CONFIG_MACHINE_NAME', `${JSON.stringify(id)} is no name for a machine`, {
    hint: 'use letters, digits and dashes, sixty at most, with a letter or digit first',
  });
}

/** A run of that name would take the machine for its own, and release it. */
async function requireFree(session: Session, registry: Registry, id: string): Promise<void> {
  const { readRunReport } = await import('../../records/artifacts.js');
  const isMachine = (await registry.list()).some((machine) => machine.id === id);
  if (!isMachine && !(await readRunReport(session.layout.runs, id))) return;
  throw new NixproofError('CONFIG_MACHINE_EXISTS', `there is a ${isMachine ? 'machine' : 'run'} ${id} already`, {
    hint: isMachine ? `use another name, or make it pristine: \`nixproof vm clean ${id}\`` : 'use another name',
    details: { machine: id },
  });
}

async function qemuWhereItWorks(session: Session, registry: Registry): Promise<DriverName> {
  const probe = await registry.driver('qemu').probe(session);
  if (probe.available) return 'qemu';
  throw probe.reason;
}

async function baseOf({ base }: StartOptions): Promise<string | undefined> {
  const { baseOfFlag } = await import('../../config/base.js');
  return base === undefined ? undefined : baseOfFlag(base, process.cwd());
}

/** Flags win over the environment, and what is left is what a profile gets that says nothing. */
async function shapeOf({ memory, cpus, disk, firmware }: StartOptions): Promise<MachineShape> {
  const { DEFAULT_SHAPE } = await import('../../machines/qemu/prepare.js');
  const { findUefi } = await import('../../machines/hypervisor/firmware.js');
  const { readEnvironment } = await import('../../config/environment.js');
  const { memoryMiB, diskBytes, libvirtNetwork, accelerator } = readEnvironment(process.env);
  return {
    memoryMiB: memory ?? memoryMiB ?? DEFAULT_SHAPE.memoryMiB,
    cpus: cpus ?? DEFAULT_SHAPE.cpus,
    diskBytes: disk ?? (diskBytes === undefined ? DEFAULT_SHAPE.diskBytes : [diskBytes]),
    firmware: firmware ?? ((await findUefi()) ? 'uefi' : 'bios'),
    ...(libvirtNetwork === undefined ? {} : { libvirtNetwork }),
    ...(accelerator === undefined || accelerator === 'auto' ? {} : { accelerator }),
  };
}

async function clean(session: Session, id: string): Promise<number> {
  const registry = await registryOfKnown(session, [id]);
  const { withLock } = await import('../../host/lock.js');
  const { makingLock } = await import('../../machines/by-hand.js');
  return withLock(makingLock(session.layout, id), { signal: session.signal }, async () => {
    const made = await madeOf(session, id);
    await registry.destroy(id, session);
    return make(session, registry, made);
  });
}

/** What a machine was asked to be, by a person or by its run. */
async function madeOf(session: Session, id: string): Promise<MadeOf> {
  const { madeByHand } = await import('../../machines/by-hand.js');
  const byHand = await madeByHand(session.layout, id);
  if (byHand) return byHand;
  const { readRunRequest } = await import('../../records/artifacts.js');
  const request = await readRunRequest(session.layout.runs, id);
  if (!request) {
    throw new NixproofError('CONFIG_MACHINE_ORIGIN', `nothing says what ${id} was made of`, {
      hint: `destroy it with \`nixproof vm stop ${id}\` and start another`,
      details: { machine: id },
    });
  }
  await requireIdle(session, id);
  const { base, machine: shape, hosts } = request.profile;
  return { id, driver: request.driver, base, shape, ...(hosts === undefined ? {} : { hosts }) };
}

async function make(session: Session, registry: Registry, made: MadeOf): Promise<number> {
  const { markByHand } = await import('../../machines/by-hand.js');
  await using machine = await registry.driver(made.driver).create(made, session);
  await markByHand(session.layout, made);
  await tell(session, machine);
  return EXIT.ok;
}

async function tell(session: Session, machine: Machine): Promise<void> {
  const { id, driver, base } = machine.info;
  // A sandbox answers only while a command of ours serves it.
  const ssh = driver === 'sandbox' ? undefined : await machine.endpoint();
  if (session.json) {
    const address = ssh && { host: ssh.host, port: ssh.port, user: ssh.user, keyFile: ssh.keyFile };
    const { detail, disks: targets } = machine;
    session.print(
      `${JSON.stringify({ id, driver, base: base ?? null, detail, disks: targets, ssh: address ?? null })}\n`,
    );
    return;
  }
  session.say(`${id} is running: ${machine.detail}`);
  if (ssh) session.say(`  address  ${ssh.user}@${ssh.host}:${ssh.port}`);
  session.say(`  disks    ${machine.disks.join(' ')}`);
  session.say(`  shell    nixproof vm ssh ${id}`);
  session.say(`  destroy  nixproof vm stop ${id}`);
}
