import { execa } from 'execa';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { baseFor } from '../../src/bases/registry.js';
import type { Firmware, MachineShape } from '../../src/domain/profile.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { processesWithEnvironment, waitUntil } from '../../src/host/process.js';
import { createLibvirtDriver } from '../../src/machines/libvirt/driver.js';
import { domainIdentity } from '../../src/machines/libvirt/identity.js';
import { libvirtFiles } from '../../src/machines/libvirt/record.js';
import type { Machine, Work } from '../../src/machines/machine.js';
import { machineFolder } from '../../src/machines/record.js';
import { checkpointContract } from './checkpoint-contract.js';
import { GRUB_TARGETS, installLiveSystem } from './installation.js';
import { startLibvirtd, type Libvirtd } from './libvirtd.js';
import { type Context, machineContract } from './machine-contract.js';
import { hasOrSkip } from './requirements.js';

const GIB = 1024 ** 3;
const BASE = 'debian';
const MINUTE_MS = 60_000;
const work: Work = { signal: new AbortController().signal, progress: () => undefined };

function shape(firmware: Firmware): MachineShape {
  return { memoryMiB: 1024, cpus: 2, diskBytes: [3 * GIB, 1 * GIB], firmware };
}

const daemon = await startLibvirtd().catch((error: unknown): Libvirtd | undefined => {
  console.warn(String(error));
  return undefined;
});
if (daemon) process.env['LIBVIRT_DEFAULT_URI'] = daemon.uri;
afterAll(() => daemon?.stop());

async function virsh(...args: string[]): Promise<string> {
  return (await execa('virsh', ['--quiet', ...args])).stdout;
}

const domains = async () => (await virsh('list', '--all', '--name')).split('\n').filter((name) => name !== '');

/** A domain that is not ours: one that needs nothing of the host. */
async function foreignDomain(name: string, extra = ''): Promise<void> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), 'nixproof-foreign-')), 'domain.xml');
  await writeFile(
    file,
    `<domain type='qemu'><name>${name}</name>${extra}<memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os></domain>`,
  );
  await virsh('define', file);
  await rm(path.dirname(file), { recursive: true });
}

/** What happens to domains, and what must not. */
function accidents(context: () => Context): void {
  afterEach(async () => {
    const { driver, request, work } = context();
    await driver.destroy(request.id, work);
  });

  test('a machine whose making was killed half-way is made anew', async () => {
    const { layout, driver, request, work } = context();
    const identity = domainIdentity(layout, request.id);
    const files = libvirtFiles(machineFolder(layout, request.id));
    await mkdir(files.folder, { recursive: true });
    await writeFile(files.uri, `${daemon?.uri ?? ''}\n`);
    const mark = `<metadata><np:machine xmlns:np='urn:nixproof:machine:1' home='${identity.home}' id='${request.id}'/></metadata>`;
    await foreignDomain(identity.name, `<uuid>${identity.uuid}</uuid>${mark}`);
    await virsh('start', identity.name);
    await using machine = await driver.create(request, work);
    expect(await machine.isRunning()).toBe(true);
    // QEMU, and its packet filter.
    expect(await processesWithEnvironment('NIXPROOF_MACHINE', request.id)).toHaveLength(2);
    expect((await domains()).filter((name) => name === identity.name)).toHaveLength(1);
  });

  test('a domain of the same name that does not carry the mark of this home is left alone', async () => {
    const { layout, driver, request, work } = context();
    const { name, uuid } = domainIdentity(layout, request.id);
    const known = (await driver.list()).map(({ id }) => id);
    const mark = `<metadata><np:machine xmlns:np='urn:nixproof:machine:1' home='another' id='${request.id}'/></metadata>`;
    for (const [identity, taken] of [
      ['', 'HOST_DOMAIN_TAKEN'],
      [`<uuid>${uuid}</uuid>${mark}`, undefined],
    ] as const) {
      await foreignDomain(name, identity);
      expect((await driver.list()).map(({ id }) => id)).toEqual(known);
      if (taken !== undefined) {
        await expect(driver.create(request, work)).rejects.toMatchObject({
          code: taken,
          message: `libvirt has another domain named ${name}`,
        });
      }
      const files = libvirtFiles(machineFolder(layout, request.id));
      await mkdir(files.folder, { recursive: true });
      await writeFile(files.uri, `${daemon?.uri ?? ''}\n`);
      await driver.destroy(request.id, work);
      await expect(access(files.folder)).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await domains()).toContain(name);
      await virsh('undefine', name);
    }
  });

  test('its guest reaches nothing of this host, also where its filter was killed or a repair cut off', async () => {
    const { layout, driver, request, work } = context();
    const reached: string[] = [];
    const server = createServer((socket) => socket.on('data', (text) => reached.push(String(text))));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { folder } = libvirtFiles(machineFolder(layout, request.id));
    const filters = () => processesWithEnvironment('NIXPROOF_GUEST_IO', folder);
    await using machine = await driver.create(request, work);
    const tries = async (name: string) => {
      const line = `timeout 5 bash -c 'echo ${name} >/dev/tcp/10.0.2.2/${port}'`;
      expect((await (await machine.connect(work)).exec(['sh', '-c', line])).exitCode).not.toBe(0);
    };
    await tries('at first');
    for (const { pid } of await filters()) process.kill(pid, 'SIGKILL');
    expect(await waitUntil(async () => (await filters()).length === 0, 20_000)).toBe(true);
    await tries('with another filter');
    expect(await filters()).toHaveLength(1);
    // As a process that was killed while it replaced the filter leaves it.
    await writeFile(path.join(folder, 'suspended'), '');
    await virsh('suspend', domainIdentity(layout, request.id).uuid);
    await tries('after a repair');
    expect(await filters()).toHaveLength(1);
    expect(reached).toEqual([]);
  });

  test('a disk that nothing was installed on never boots, and the console says why', async () => {
    const { layout, driver, request, work } = context();
    await using live = await driver.create(request, work);
    const impatient = createLibvirtDriver({ layout, bootDeadlineMs: 20_000 });
    await using machine = await impatient.attach(request.id, work);
    await expect(machine.restartInstalled(work)).rejects.toMatchObject({
      code: 'MACHINE_NEVER_BOOTED',
      details: { consoleLog: live.consoleLog, console: expect.any(Array) as unknown },
    });
  });

  test('a base that was not prepared is named, with the command that prepares it', async () => {
    const { request, work } = context();
    const elsewhere = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-no-base-')));
    await expect(createLibvirtDriver({ layout: elsewhere }).create(request, work)).rejects.toMatchObject({
      code: 'HOST_BASE_MISSING',
      hint: 'run `nixproof setup --base debian`',
    });
    await rm(elsewhere.home, { recursive: true });
  });

  test('a network that is not there is named', async () => {
    const { driver, request, work } = context();
    const plugged = { ...request, shape: { ...request.shape, libvirtNetwork: 'no-such-network' } };
    await expect(driver.create(plugged, work)).rejects.toMatchObject({
      code: 'HOST_NETWORK_MISSING',
      message: `libvirt has no active network no-such-network at ${daemon?.uri ?? ''}`,
    });
  });
}

/** One machine for all of it, in the order in which it suffers more and more. */
function abilities(): void {
  const id = `abilities-${process.pid}`;
  let layout: Layout;
  let machine: Machine;

  beforeAll(async () => {
    layout = await homeWithBase();
    machine = await createLibvirtDriver({ layout }).create({ id, base: BASE, shape: shape('bios') }, work);
  }, 20 * MINUTE_MS);
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
    await createLibvirtDriver({ layout }).destroy(id, work);
    expect(await domains()).toEqual([]);
    await rm(layout.home, { recursive: true, force: true });
  }, 2 * MINUTE_MS);

  /** Whether a new connection is answered; the one that was open would not know. */
  const answersSsh = async () => {
    await machine[Symbol.asyncDispose]();
    const limited = { ...work, signal: AbortSignal.any([work.signal, AbortSignal.timeout(5000)]) };
    return machine.connect(limited).then(
      () => true,
      () => false,
    );
  };

  test('its console is kept', async () => {
    expect(await readFile(machine.consoleLog ?? '', 'utf8')).toContain('login:');
  });

  test('a screenshot is a PNG of the screen', async () => {
    const file = path.join(layout.home, 'shots', 'screen.png');
    await machine.screen?.screenshot(file, work);
    const png = await readFile(file);
    expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
    // Width and height (PNG specification, IHDR).
    expect(png.readUInt32BE(16)).toBeGreaterThanOrEqual(640);
    expect(png.readUInt32BE(20)).toBeGreaterThanOrEqual(400);
  });

  test('its cable can be pulled and plugged', { timeout: 4 * MINUTE_MS }, async () => {
    await machine.cable?.setPlugged(false);
    expect(await answersSsh()).toBe(false);
    expect(await machine.isRunning()).toBe(true);
    await machine.cable?.setPlugged(true);
    expect(await waitUntil(answersSsh, 2 * MINUTE_MS)).toBe(true);
  });

  test('a crash is a power cut', async () => {
    await machine.crash?.();
    expect(await machine.isRunning()).toBe(false);
    await expect(machine.connect(work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    await machine.crash?.();
  });
}

async function hasDhcpServer(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const found = (await execa('dnsmasq', ['--version'], { reject: false })).exitCode === 0;
  if (!found) console.warn('skipped: a libvirt machine in a network: dnsmasq is not installed');
  return found;
}

/** Without firewall rules (`open`), so that nothing of it stays on the host but its bridge, which goes with it. */
const NETWORK = `<network><name>np-test</name><forward mode='open'/><bridge name='np-test0' stp='off' delay='0'/>
<ip address='10.213.77.1' netmask='255.255.255.0'><dhcp><range start='10.213.77.2' end='10.213.77.20'/></dhcp></ip></network>`;

/** A machine in a network of libvirt, which takes root and a DHCP server. */
function plugged(): void {
  const id = `plugged-${process.pid}`;
  let layout: Layout;
  beforeAll(async () => {
    layout = await homeWithBase();
    const file = path.join(layout.home, 'network.xml');
    await writeFile(file, NETWORK);
    await virsh('net-define', file);
    await virsh('net-start', 'np-test');
  }, MINUTE_MS);
  afterAll(async () => {
    await createLibvirtDriver({ layout }).destroy(id, work);
    await virsh('net-destroy', 'np-test');
    await rm(layout.home, { recursive: true, force: true });
  }, MINUTE_MS);

  test(
    'it is reached at the address that the network gave it, after a reboot too',
    { timeout: 10 * MINUTE_MS },
    async () => {
      const request = { id, base: BASE, shape: { ...shape('bios'), libvirtNetwork: 'np-test' } };
      await using machine = await createLibvirtDriver({ layout }).create(request, work);
      expect(await machine.endpoint()).toMatchObject({
        host: expect.stringMatching(/^10\.213\.77\.\d+$/) as string,
        port: 22,
      });
      expect(machine.detail).toMatch(/, network np-test$/);
      await machine.reboot(work);
      expect((await (await machine.connect(work)).exec(['true'])).exitCode).toBe(0);
    },
  );
}

async function homeWithBase(): Promise<Layout> {
  const layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-libvirt-')));
  await baseFor(BASE, layout).prepare(work);
  return layout;
}

if (await hasOrSkip('libvirt', createLibvirtDriver({ layout: layoutOf(tmpdir()) }))) {
  machineContract('libvirt, uefi', {
    makeDriver: createLibvirtDriver,
    base: BASE,
    shape: shape('uefi'),
    prepare: async (layout, work) => {
      await baseFor(BASE, layout).prepare(work);
    },
    more: accidents,
    install: (machine, connection, work) => installLiveSystem(GRUB_TARGETS.uefi, machine, connection, work),
  });

  describe('the abilities of a libvirt machine', { timeout: MINUTE_MS }, abilities);

  describe.runIf(await hasDhcpServer())('a libvirt machine in a network', plugged);

  describe('libvirt', () => {
    let layout: Layout;
    const makeDriver = () => createLibvirtDriver({ layout });
    beforeAll(async () => {
      layout = await homeWithBase();
    }, 10 * MINUTE_MS);
    afterAll(() => rm(layout.home, { recursive: true, force: true }));
    const context = () => ({
      layout,
      driver: makeDriver(),
      makeDriver,
      request: { id: `checkpointed-${process.pid}`, base: BASE, shape: { ...shape('uefi'), diskBytes: [GIB] } },
      work,
    });
    checkpointContract(context, false);
  });
} else {
  describe.skip('machine contract: libvirt', () => test('needs libvirt', () => undefined));
}
