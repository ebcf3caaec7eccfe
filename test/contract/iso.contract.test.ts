import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Firmware, MachineShape } from '../../src/domain/profile.js';
import { layoutOf } from '../../src/host/paths.js';
import { waitUntil } from '../../src/host/process.js';
import type { Connection, Machine, Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { liveIso, probeLiveIso, type LiveIso } from './live-iso.js';
import { hasOrSkip } from './requirements.js';

const GIB = 1024 ** 3;
const BUILD_MS = 20 * 60_000;
const BOOTS_MS = 10 * 60_000;
/** Without QEMU or the tools of the CD there is nothing to see. */
const layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'np-iso-')));
const driver = createQemuDriver({ layout });
const able = (await hasOrSkip('qemu', driver)) && (await hasOrSkip('live-iso', { probe: probeLiveIso }));

function shape(firmware: Firmware): MachineShape {
  return { memoryMiB: 1024, cpus: 2, diskBytes: [1 * GIB], firmware };
}

async function answer(connection: Connection, script: string, { signal }: Work): Promise<string> {
  const result = await connection.exec(['sh', '-c', script], { signal, timeoutMs: 5 * 60_000 });
  return `${result.stdout}${result.stderr}`.trim();
}

describe.skipIf(!able)('a live system from outside', () => {
  let images: LiveIso;
  let said: string[];
  const work: Work = { signal: new AbortController().signal, progress: (line) => void said.push(line) };
  const typed = () => said.filter((line) => line.includes('typing it on the keyboard'));

  beforeAll(async () => {
    images = await liveIso();
  }, BUILD_MS);
  afterAll(() => rm(layout.home, { recursive: true, force: true }));

  /** Freezes the base's template and hands out a clone of it. */
  async function withClone(base: string, firmware: Firmware, see: (machine: Machine) => Promise<void>): Promise<void> {
    said = [];
    const image = await prepareBase(base, layout, work, shape(firmware));
    expect(image.boot).toEqual({ kind: 'firmware' });
    try {
      await using machine = await driver.create({ id: 'clone', base, shape: shape(firmware) }, work);
      await see(machine);
    } finally {
      await driver.destroy('clone', work);
    }
  }

  test(
    'on a CD gives root the key of its virtual hardware, is frozen, cloned, put back, and left behind by what it installed',
    { timeout: BOOTS_MS },
    () =>
      withClone(`iso:${images.credential}`, 'bios', async (machine) => {
        expect(typed()).toEqual([]);
        expect(machine.disks).toEqual(['/dev/vda']);
        const connection = await machine.connect(work);
        expect(
          await answer(connection, 'lsblk -bdno NAME,SIZE,RO /dev/vda /dev/sr0 | tr -s " " | sort -r', work),
        ).toMatch(new RegExp(`^vda ${GIB} 0\nsr0 \\d+ \\d$`));
        expect(await answer(connection, 'systemctl is-system-running', work)).toBe('degraded');
        await machine.checkpoints?.take('before', work);
        expect(await answer(connection, 'touch /later; ls /later', work)).toBe('/later');
        await machine.checkpoints?.restore('before', work);
        const restored = await machine.connect(work);
        expect(await answer(restored, 'ls /later', work)).toContain('No such file');
        // The CD's image starts from a disk as well: the shortest installation there is.
        expect(await answer(restored, 'dd if=/dev/sr0 of=/dev/vda bs=4M status=none && sync', work)).toBe('');
        await machine.restartInstalled(work);
        const installed = await machine.connect(work);
        expect(await answer(installed, 'findmnt -no SOURCE /run/live/medium; ls /dev/sr0', work)).toMatch(
          /^\/dev\/vda.*\n.*No such file/,
        );
      }),
  );

  test('on a CD that takes no key from there is given it by its keyboard', { timeout: BOOTS_MS }, () =>
    withClone(`iso:${images.keyboard}`, 'bios', async (machine) => {
      expect(typed()[0]).toBe('SSH refuses the key: typing it on the keyboard of the first terminal');
      expect(machine.disks).toEqual(['/dev/vda']);
      const connection = await machine.connect(work);
      expect(await answer(connection, 'id -un; stat -c %a /root/.ssh', work)).toBe('root\n700');
      // Its kernel was never told of a serial console.
      await answer(connection, 'logger it speaks', work);
      const speaks = async () => (await readFile(machine.consoleLog ?? '', 'utf8')).includes('it speaks');
      expect(await waitUntil(speaks, 60_000)).toBe(true);
      expect(await machine.console?.exec(['id', '-un'])).toMatchObject({ exitCode: 0, stdout: 'root\n' });
    }),
  );

  test('on a disk is started by the firmware and never written to', { timeout: BOOTS_MS }, () =>
    withClone(`disk:${images.credential}`, 'bios', async (machine) => {
      expect(typed()).toEqual([]);
      expect(machine.disks).toEqual(['/dev/vdb']);
      const connection = await machine.connect(work);
      expect(await answer(connection, 'lsblk -bdno NAME,SIZE /dev/vdb | tr -s " "', work)).toBe(`vdb ${GIB}`);
      expect(await answer(connection, 'ls /dev/sr0', work)).toContain('No such file');
    }),
  );
});
