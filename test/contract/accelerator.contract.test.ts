import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MachineShape } from '../../src/domain/profile.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { processesWithVariable } from '../../src/host/process.js';
import { type QemuHost, thisHost } from '../../src/machines/hypervisor/accelerator.js';
import { SLOW_FEATURES, TRANSLATIONS_MIB } from '../../src/machines/qemu/command-line.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { findInstallation } from '../../src/machines/hypervisor/installation.js';
import { MACHINE_FOLDER } from '../../src/machines/qemu/launch.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { hasOrSkip } from './requirements.js';

const MINUTE_MS = 60_000;
const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' };
/** Long enough that a guest which runs shows itself, also emulated on a loaded host. */
const PATIENT_MS = 5 * MINUTE_MS;

/**
 * A QEMU that emulates where it is told kvm. Where the file `hang` is beside it, such a guest hangs
 * as on a host whose KVM cannot run Linux: its monitor answers, firmware without a monitor runs,
 * and its console stays silent, as each of its instructions takes a microsecond.
 */
const QEMU = `#!/bin/bash
args=()
case " $* " in *' kvm '*' -qmp '* | *' -qmp '*' kvm '*) [ ! -e "\${0%/*}/hang" ] || args=(-icount shift=10,align=off,sleep=on) ;; esac
for argument; do
  case $argument in
    kvm) args+=(tcg,tb-size=${TRANSLATIONS_MIB}) ;;
    host) args+=(max${SLOW_FEATURES.map((feature) => `,-${feature}`).join('')}) ;;
    *) args+=("$argument") ;;
  esac
done
exec qemu-system-x86_64 "\${args[@]}"
`;

describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))(
  'an accelerator whose guests hang',
  { timeout: 10 * MINUTE_MS },
  () => {
    let folder: string;
    let layout: Layout;
    const said: string[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'nixproof-hangs-'));
      layout = layoutOf(path.join(folder, 'home'));
      await writeFile(path.join(folder, 'qemu'), QEMU);
      await chmod(path.join(folder, 'qemu'), 0o755);
      await writeFile(path.join(folder, 'kvm'), '');
      await writeFile(path.join(folder, 'cpuinfo'), 'flags : vmx\n');
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    const host = (cache: string, silenceMs: number): QemuHost => ({
      ...thisHost(),
      binary: path.join(folder, 'qemu'),
      kvm: path.join(folder, 'kvm'),
      cpuinfo: path.join(folder, 'cpuinfo'),
      cache: path.join(folder, cache),
      env: {},
      silenceMs,
    });
    const setHanging = (hangs: boolean) =>
      hangs ? writeFile(path.join(folder, 'hang'), '') : rm(path.join(folder, 'hang'), { force: true });
    /**
     * Runs until the base is booted once more, emulated: what comes after that is every host's way.
     */
    const untilEmulated = async (
      body: (work: { signal: AbortSignal; progress: (message: string) => void }) => Promise<unknown>,
    ) => {
      said.length = 0;
      const enough = new AbortController();
      const progress = (message: string) => {
        said.push(message);
        if (/^booting .*, tcg \(/.test(message)) enough.abort();
      };
      await expect(body({ signal: enough.signal, progress })).rejects.toMatchObject({ name: 'AbortError' });
    };
    const running = () => processesWithVariable(MACHINE_FOLDER, (value) => value.startsWith(layout.home));
    const find = (cache: string) => findInstallation(new AbortController().signal, undefined, host(cache, 1000));

    test('a base that stays silent is booted again, emulated, and why is remembered', async () => {
      await setHanging(true);
      expect(await find('silent')).toMatchObject({ accelerator: 'kvm', proof: undefined });
      await untilEmulated((work) => prepareBase('debian', layout, work, SHAPE, host('silent', 1000)));
      const reason = 'kvm is there, but runs no Linux: the kernel of debian printed nothing for 1 s';
      expect(said).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^booting debian once for .*, kvm: /),
          `${reason}. Emulating instead`,
          expect.stringContaining(`, tcg (${reason}): `),
        ]),
      );
      expect(await find('silent')).toMatchObject({ accelerator: 'tcg', acceleratorReason: reason });
      expect(await running()).toEqual([]);
    });

    test('one that the user named is not replaced', async () => {
      await setHanging(true);
      const named = { ...host('named', 1000), env: { NIXPROOF_ACCELERATOR: 'kvm' } };
      const work = { signal: new AbortController().signal, progress: () => undefined };
      await expect(prepareBase('debian', layout, work, SHAPE, named)).rejects.toMatchObject({
        code: 'HOST_ACCELERATOR_HANGS',
        hint: expect.stringContaining('NIXPROOF_ACCELERATOR') as string,
      });
      expect(await find('named')).toMatchObject({ accelerator: 'kvm' });
    });

    test('a base that boots proves it, and after that silence is no sign against it', async () => {
      await setHanging(false);
      const work = { signal: new AbortController().signal, progress: () => undefined };
      await prepareBase('debian', layout, work, SHAPE, host('proved', PATIENT_MS));
      const { proof } = await find('proved');
      expect(proof).toMatchObject({ base: 'debian', kernel: expect.stringMatching(/^6\.1\./) as string });
    });

    test('a clone of an earlier boot of the host that does not answer is made again, emulated', async () => {
      await setHanging(true);
      // The proof was of another boot of the host.
      const [memory = ''] = await readdir(path.join(folder, 'proved'));
      const file = path.join(folder, 'proved', memory);
      const known = JSON.parse(await readFile(file, 'utf8')) as object;
      await writeFile(file, JSON.stringify({ ...known, key: 'another boot' }));
      const driver = createQemuDriver({ layout, host: host('proved', 1000) });
      const id = `hangs-${process.pid}`;
      await untilEmulated((work) => driver.create({ id, base: 'debian', shape: SHAPE }, work));
      const reason = 'kvm is there, but runs no Linux: a clone of debian did not answer for 1 s';
      expect(said).toContain(`${reason}. Emulating instead`);
      expect(await find('proved')).toMatchObject({ accelerator: 'tcg', acceleratorReason: reason, proof: undefined });
      expect(await running()).toEqual([]);
    });
  },
);
