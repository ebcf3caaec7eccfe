import path from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { layoutOf } from '../../../src/host/paths.js';
import { createRegistry } from '../../../src/machines/registry.js';
import { chooseProfiles } from '../../../src/suites/choose.js';
import { folderWith } from '../config/folder.js';

test.each([
  ['libvirt', 'debian'],
  ['sandbox', undefined],
] as const)('a profile that says nothing of a base boots debian where it boots anything: %s', async (driver, base) => {
  const cwd = await folderWith({
    'nixproof.yaml': 'profiles:\n  vm: { install: { kind: script, run: ./install.sh } }\n',
  });
  const layout = layoutOf(path.join(cwd, 'home'));
  const work = { layout, signal: new AbortController().signal, progress: () => undefined };
  const config = await loadConfig('nixproof.yaml', cwd);
  const chosen = await chooseProfiles(config, { profiles: [], drivers: [driver] }, cwd, createRegistry(layout), work);
  expect(chosen.map((profile) => [profile.driver, profile.base])).toEqual([[driver, base]]);
});
