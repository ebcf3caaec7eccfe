import { createSandboxDriver } from '../../src/machines/sandbox/driver.js';
import { machineContract } from './machine-contract.js';

machineContract('sandbox', {
  makeDriver: createSandboxDriver,
  base: undefined,
  shape: { memoryMiB: 64, cpus: 1, diskBytes: [64 * 1024 * 1024, 8 * 1024 * 1024], firmware: 'uefi' },
  // A sandbox boots nothing: its restart ends every process and changes the host key, whatever is on the disk.
  install: async (machine, connection) => {
    await connection.exec(['sh', '-c', 'echo yes >"$1"', 'sh', machine.resolvePath('/etc/installed')]);
  },
});
