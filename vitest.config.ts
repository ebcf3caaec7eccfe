import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { LONG, SLOWEST } from './test/slow-tests.js';

/** How many of the long files run at a time; none by default. */
const long = Number(process.env['NIXPROOF_TEST_LONG'] ?? 0);
export const common = {
  testTimeout: 180_000,
  hookTimeout: 300_000,
  setupFiles: ['test/forks-run-source.ts'],
};

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = SLOWEST.findIndex((file) => moduleId.endsWith(file));
      return place < 0 ? SLOWEST.length : place;
    };
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
          exclude: ['test/unit/**', ...LONG, 'node_modules/**'],
          globalSetup: ['test/shared-bases.ts'],
          // Most wait more than they compute: for heartbeats that do not come, for limits that are
          // up.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'machines',
          globalSetup: ['test/shared-bases.ts'],
          include: long > 0 ? LONG : [],
          // An emulated machine keeps one core busy.
          maxWorkers: long || 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
