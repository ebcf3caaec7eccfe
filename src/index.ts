import type { ConfigInput } from './config/schema.js';

export type { ConfigInput as Config } from './config/schema.js';
export type {
  CheckResult,
  FailureRecord,
  FaultRecord,
  HealRecord,
  LogSummary,
  MetricSeries,
  PhaseRecord,
  RunReport,
} from './domain/run.js';
export type { SuiteReport } from './domain/suite.js';
export type { DriverName } from './domain/profile.js';
export type { Verdict } from './domain/verdict.js';

/** Types a configuration that is written in TypeScript: `export default defineConfig({ profiles: { … } })` in nixproof.ts. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}
