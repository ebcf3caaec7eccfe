import { access, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import ssh2 from 'ssh2';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { DEBIAN_RECIPE, fingerprintOf } from '../../../src/bases/debian-recipe.js';
import { layoutOf } from '../../../src/host/paths.js';
import { runCommand } from '../../../src/host/process.js';
import { wake } from '../../../src/machines/boot.js';
import { openConnection } from '../../../src/machines/connection.js';
import { keyPairAt } from '../../../src/machines/keys.js';
import { takeCheckpoint } from '../../../src/machines/libvirt/checkpoints.js';
import { findLibvirt } from '../../../src/machines/libvirt/libvirt.js';
import { uefiOf } from '../../../src/machines/libvirt/machine-xml.js';
import { virshAt } from '../../../src/machines/libvirt/virsh.js';
import type { Connection, Work } from '../../../src/machines/machine.js';
import { chordsOf } from '../../../src/machines/qemu/keyboard.js';
import { migrationEnd } from '../../../src/machines/qemu/migration.js';
import type { Qmp } from '../../../src/machines/qemu/qmp.js';
import { createRegistry } from '../../../src/machines/registry.js';
import { hasOrSkip } from '../../contract/requirements.js';
import { probeMounts } from '../../e2e/own-mounts.js';
import { onlyPrograms, temporaryFolder } from '../programs.js';

const { signal } = new AbortController();
const work: Work = { signal, progress: () => undefined };

/** The build of the base with the PATH of now. */
function freshBuild() {
  vi.resetModules();
  return import('../../../src/bases/debian-build.js');
}

test('a driver that there is not', async () => {
  expect(() => createRegistry(layoutOf('/nowhere')).driver('xen' as never)).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_DRIVER' }) as Error,
  );
});

describe('a host', () => {
  test('without QEMU', async () => {
    await onlyPrograms({});
    expect(await createRegistry(layoutOf('/nowhere')).driver('qemu').probe(work)).toMatchObject({
      available: false,
      reason: { code: 'HOST_QEMU_MISSING' },
    });
  });

  test('without virsh', async () => {
    await onlyPrograms({});
    await expect(virshAt(undefined).run(['uri'])).rejects.toMatchObject({ code: 'HOST_LIBVIRT_MISSING' });
  });

  test('whose libvirt does not answer', async () => {
    const said = 'error: failed to connect to the hypervisor\nerror: Failed to connect socket';
    await onlyPrograms({ virsh: `echo '${said}' >&2; exit 1` });
    await expect(virshAt('qemu:///system').run(['list'])).rejects.toMatchObject({
      code: 'HOST_LIBVIRT_UNREACHABLE',
      message: 'no libvirt answers at qemu:///system: Failed to connect socket',
    });
  });

  test.each(['qemu+ssh://elsewhere/system', 'xen:///system', 'lxc:///'])('whose libvirt is at %s', async (uri) => {
    await onlyPrograms({ virsh: `echo ${uri}` });
    await expect(findLibvirt(undefined, signal)).rejects.toMatchObject({ code: 'UNSUPPORTED_LIBVIRT_URI' });
  });

  test('without UEFI firmware', () => {
    expect(() => uefiOf({ installation: {} } as never)).toThrow(
      expect.objectContaining({ code: 'HOST_FIRMWARE_MISSING' }) as Error,
    );
  });

  test.each([
    [0, 'HOST_BASE_BUILD_FAILED'],
    [1000, 'HOST_USER_NAMESPACES'],
  ])('where mmdebstrap fails for user %d', async (uid, code) => {
    await onlyPrograms({ mmdebstrap: 'echo E: no >&2; exit 1' }, process.env['PATH']);
    vi.spyOn(process, 'getuid').mockReturnValue(uid);
    onTestFinished(() => void vi.restoreAllMocks());
    const { buildDebian: building } = await freshBuild();
    const into = path.join(await temporaryFolder(), 'into');
    await mkdir(into);
    await expect(building(DEBIAN_RECIPE, into, work)).rejects.toMatchObject({
      code,
    });
  });

  test('what a build works in is random, for its owner alone, and gone with it', async () => {
    const seen = path.join(await temporaryFolder(), 'seen');
    const look = `echo "$TMPDIR" >>${seen}; stat -c %a "$TMPDIR" "$TMPDIR/.." >>${seen}; exit 1`;
    await onlyPrograms({ mmdebstrap: look }, process.env['PATH']);
    const { buildDebian: building } = await freshBuild();
    for (const name of ['one', 'two']) {
      const into = path.join(await temporaryFolder(), name);
      await mkdir(into);
      await expect(building(DEBIAN_RECIPE, into, work)).rejects.toThrow();
    }
    const lines = (await readFile(seen, 'utf8')).trim().split('\n');
    const folders = [lines[0] ?? '', lines[3] ?? ''];
    expect(folders[0]).not.toBe(folders[1]);
    for (const folder of folders) {
      expect(folder).toMatch(/^\/var\/tmp\/nixproof-build-[0-9a-f]{32}\/[0-9a-f]{32}$/);
      await expect(access(path.dirname(folder))).rejects.toMatchObject({ code: 'ENOENT' });
    }
    if (process.getuid?.() === 0) expect(lines.filter((line) => /^\d+$/.test(line))).toEqual(Array(4).fill('700'));
  });
});

/** As mmdebstrap does with /dev/shm when it builds as root, and leaves it so when it is killed. */
test.runIf(await hasOrSkip('mounts', { probe: probeMounts }))(
  'what a killed build has mounted is not removed with what it left',
  async () => {
    const [cache, precious] = [await temporaryFolder(), await temporaryFolder()];
    const left = await mkdtemp('/var/tmp/nixproof-build-');
    const mounted = path.join(left, 'root', 'shm');
    await writeFile(path.join(precious, 'file'), '');
    await mkdir(mounted, { recursive: true });
    await runCommand('mount', ['--bind', precious, mounted]);
    onTestFinished(async () => {
      await runCommand('umount', [mounted]).catch(() => undefined);
    });
    await writeFile(path.join(cache, `${fingerprintOf(DEBIAN_RECIPE)}.scratch`), left);
    await onlyPrograms({ mmdebstrap: 'exit 1' }, process.env['PATH']);
    const { buildDebian: building } = await freshBuild();
    await mkdir(path.join(cache, 'into'));
    await expect(building(DEBIAN_RECIPE, path.join(cache, 'into'), work)).rejects.toThrow();
    await access(path.join(precious, 'file'));
    await expect(access(left)).rejects.toMatchObject({ code: 'ENOENT' });
  },
);

describe('a guest', () => {
  test('whose clock cannot be set', async () => {
    const connection = { exec: async () => ({ exitCode: 1, stdout: '', stderr: 'date: not permitted\n' }) };
    await expect(wake(connection as unknown as Connection, signal)).rejects.toMatchObject({
      code: 'MACHINE_CLOCK',
      message: "the guest's clock could not be set: date: not permitted",
    });
  });

  test('whose state cannot be moved', async () => {
    const qmp = { execute: async () => ({ status: 'failed', 'error-desc': 'no such file' }) } as unknown as Qmp;
    await expect(migrationEnd(qmp, signal)).rejects.toMatchObject({
      code: 'MACHINE_MIGRATION',
      message: "the machine's state could not be moved: no such file",
    });
  });

  test('that libvirt cannot freeze', async () => {
    const folder = await temporaryFolder();
    await onlyPrograms({ virsh: 'case " $* " in *snapshot-create-as*) echo error: no >&2; exit 1;; esac' });
    const frozen = {
      virsh: virshAt('qemu:///system'),
      identity: { uuid: 'u' },
      files: { folder, checkpoints: path.join(folder, 'checkpoints.json') },
      record: { shape: { memoryMiB: 1 } },
    } as unknown as Parameters<typeof takeCheckpoint>[0];
    await expect(takeCheckpoint(frozen, 'a1-p1', work)).rejects.toMatchObject({ code: 'MACHINE_CHECKPOINT' });
  });

  test('that a US keyboard has no key for', () => {
    expect(() => chordsOf('é')).toThrow(expect.objectContaining({ code: 'INTERNAL_KEYBOARD' }) as Error);
  });
});

/** A server that takes no key, or closes the connection where a command is asked for. */
async function sshServer(takes: boolean) {
  const { keyFile } = await keyPairAt(path.join(await temporaryFolder(), 'key'), 'test');
  const server = new ssh2.Server({ hostKeys: [await readFile(keyFile)] }, (client) => {
    client.on('error', () => client.end());
    client.on('authentication', (context) => (takes ? context.accept() : context.reject()));
    client.on('session', () => client.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, user: 'root', keyFile, hostKey: undefined };
}

describe('a connection', () => {
  test('whose key is refused', async () => {
    await expect(openConnection(await sshServer(false))).rejects.toMatchObject({ code: 'TRANSPORT_AUTH' });
  });

  test('that is lost', async () => {
    await using connection = await openConnection(await sshServer(true));
    await expect(connection.exec(['true'])).rejects.toMatchObject({ code: 'TRANSPORT_LOST' });
    await expect(connection.exec(['true'])).rejects.toMatchObject({ code: 'TRANSPORT_LOST' });
  });
});
