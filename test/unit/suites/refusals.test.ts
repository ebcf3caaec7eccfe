import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { layoutOf } from '../../../src/host/paths.js';
import { createRegistry } from '../../../src/machines/registry.js';
import { chooseProfiles } from '../../../src/suites/choose.js';
import { folderWith } from '../config/folder.js';
import { onlyPrograms } from '../programs.js';

afterEach(() => vi.restoreAllMocks());

/** The driver of a profile of this host. */
async function driverOf(install: string, drivers?: readonly 'sandbox'[]) {
  const cwd = await folderWith({ 'nixproof.yaml': `profiles:\n  vm: { install: ${install} }\n` });
  const layout = layoutOf(path.join(cwd, 'home'));
  const work = { layout, signal: new AbortController().signal, progress: () => undefined };
  const choice = { profiles: [], ...(drivers === undefined ? {} : { drivers }) };
  const config = await loadConfig('nixproof.yaml', cwd);
  const [chosen] = await chooseProfiles(config, choice, cwd, createRegistry(layout), work);
  return chosen?.driver;
}

const SCRIPT = '{ kind: script, run: ./install.sh }';

test('root is not put into a sandbox unasked where there is no QEMU, another user is', async () => {
  await onlyPrograms({});
  const user = vi.spyOn(process, 'getuid').mockReturnValue(0);
  await expect(driverOf(SCRIPT)).rejects.toMatchObject({ code: 'UNSUPPORTED_SANDBOX_ROOT' });
  expect(await driverOf(SCRIPT, ['sandbox'])).toBe('sandbox');
  user.mockReturnValue(1000);
  expect(await driverOf(SCRIPT)).toBe('sandbox');
});

test('a sandbox is no machine that can be installed from outside', async () => {
  const install = '{ kind: nixos-anywhere, flake: ".#vm" }';
  await expect(driverOf(install, ['sandbox'])).rejects.toMatchObject({ code: 'UNSUPPORTED_SANDBOX_TARGET' });
});
