import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { LONG, MACHINES } from './test/machine-tests.js';

/** How many of the long files run at a time; none by default. */
const long = Number(process.env['NIXPROOF_TEST_LONG'] ?? 0);
export const common = {
  testTimeout: 60_000,
  hookTimeout: 300_000,
  setupFiles: ['test/forks-run-source.ts'],
};

/** A fresh clone does not know how long a file takes. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => MACHINES.findIndex((file) => moduleId.endsWith(file));
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'host',
          include: ['test/**/*.test.ts'],
          exclude: ['test/unit/**', ...MACHINES, ...LONG, 'node_modules/**'],
          // Many wait more than they compute: for heartbeats that do not come, for limits that are
          // up.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'machines',
          globalSetup: ['test/shared-bases.ts'],
          include: long > 0 ? [...MACHINES, ...LONG] : MACHINES,
          // An emulated machine keeps one core busy.
          maxWorkers: long || 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
