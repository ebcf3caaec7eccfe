import { expect, test } from 'vitest';
import { insideFence, passFence, temporaryFolder, type Fence } from '../../../src/host/fence.js';

const fence: Fence = {
  root: '/runs/vm',
  folder: '/runs/vm/lease/1',
  check: () => Promise.reject(new Error('lost')),
};

test('outside of a fence everything passes, inside only what its owner may do', async () => {
  await passFence();
  await expect(insideFence(fence, () => passFence())).rejects.toThrow('lost');
  await insideFence({ ...fence, check: async () => undefined }, () => passFence());
  await passFence();
});

test.each([
  ['/runs/vm/report.json', '/runs/vm/lease/1'],
  ['/runs/vm/attempt-1/install.log', '/runs/vm/lease/1'],
  ['/runs/vm-2/report.json', '/runs/vm-2'],
  ['/elsewhere/file', '/elsewhere'],
])('the temporary file of %s is made in %s', async (file, folder) => {
  expect(await insideFence(fence, async () => temporaryFolder(file))).toBe(folder);
});

test('outside of a fence a temporary file is made beside its own', () => {
  expect(temporaryFolder('/runs/vm/report.json')).toBe('/runs/vm');
});
