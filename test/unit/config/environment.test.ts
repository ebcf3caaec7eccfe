import { expect, test } from 'vitest';
import { parallelFromEnvironment, readEnvironment } from '../../../src/config/environment.js';
import { parseDuration, parseSize } from '../../../src/config/units.js';
import { faultOf } from './folder.js';

test('everything the environment can say', () => {
  const unset = {
    memoryMiB: undefined,
    diskBytes: undefined,
    libvirtNetwork: undefined,
    accelerator: undefined,
    maxHeals: undefined,
    healing: undefined,
  };
  expect(readEnvironment({})).toEqual(unset);
  expect(readEnvironment({ VM_MEMORY: '', HEALING_ENABLED: ' ' })).toEqual(unset);
  const env = {
    VM_MEMORY: '4096',
    VM_DISK_SIZE: '20G',
    VM_NETWORK: 'lab-1',
    NIXPROOF_ACCELERATOR: 'tcg',
    MAX_HEALING_ATTEMPTS: '0',
    HEALING_ENABLED: 'False',
  };
  expect(readEnvironment(env)).toEqual({
    memoryMiB: 4096,
    diskBytes: 20 * 2 ** 30,
    libvirtNetwork: 'lab-1',
    accelerator: 'tcg',
    maxHeals: 0,
    healing: false,
  });
});

test.each([
  ['VM_MEMORY', '4G', 'VM_MEMORY: expected a whole number of megabytes from 128 to 1048576, got "4G"'],
  ['VM_MEMORY', '4', 'VM_MEMORY: expected a whole number of megabytes from 128 to 1048576, got "4"'],
  ['VM_DISK_SIZE', '20', 'VM_DISK_SIZE: expected a size such as 512M or 20G, got "20"'],
  ['VM_NETWORK', 'a b', 'VM_NETWORK: expected the name of a libvirt network, or user, got "a b"'],
  ['VM_NETWORK', '--all', 'VM_NETWORK: expected the name of a libvirt network, or user, got "--all"'],
  ['NIXPROOF_ACCELERATOR', 'KVM', 'NIXPROOF_ACCELERATOR: expected auto, kvm, hvf or tcg, got "KVM"'],
  ['MAX_HEALING_ATTEMPTS', '-1', 'MAX_HEALING_ATTEMPTS: expected a whole number from 0 to 100, got "-1"'],
  ['HEALING_ENABLED', 'maybe', 'HEALING_ENABLED: expected true or false, got "maybe"'],
])('%s=%s is refused', async (variable, value, message) => {
  const fault = await faultOf(Promise.resolve().then(() => readEnvironment({ [variable]: value })));
  expect(fault).toMatchObject({ code: 'CONFIG_ENVIRONMENT', message, details: { variable } });
  expect(fault.hint).toMatch(`set ${variable} to `);
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['true', 'auto'],
  ['auto', 'auto'],
  ['false', 1],
  ['1', 1],
  ['8', 8],
])('PARALLEL_TESTS=%s is %s', (text, parallel) => {
  expect(parallelFromEnvironment({ PARALLEL_TESTS: text })).toBe(parallel);
});

test.each(['0', '-2', 'many', '1.5'])('PARALLEL_TESTS=%s is refused', (text) => {
  expect(() => parallelFromEnvironment({ PARALLEL_TESTS: text })).toThrow(
    `PARALLEL_TESTS: expected true, false, auto or a whole number from 1 to 1000, got "${text}"`,
  );
});

test.each([
  ['90s', 90_000],
  ['15m', 900_000],
  ['2h', 7_200_000],
  ['1h30m', 5_400_000],
  ['14d', 1_209_600_000],
  ['', undefined],
  ['0s', undefined],
  ['5', undefined],
  ['30m1h', undefined],
  ['1.5h', undefined],
  ['-1h', undefined],
  ['1h ', undefined],
])('the duration %j is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  ['512M', 536_870_912],
  ['20G', 21_474_836_480],
  ['20GiB', 21_474_836_480],
  ['1T', 1_099_511_627_776],
  ['0G', undefined],
  ['20', undefined],
  ['20g', undefined],
  ['1.5G', undefined],
])('the size %j is %s bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});
