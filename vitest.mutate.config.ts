import { defineConfig } from 'vitest/config';
import { common } from './vitest.config.js';

/** The tests of one area of scripts/mutate.mjs, run again for each mutant. */
export default defineConfig({ test: { ...common, include: (process.env['MUTATE_TESTS'] ?? '').split(',') } });
