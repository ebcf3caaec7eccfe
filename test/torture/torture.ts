/**
 * `npm run torture -- [--seed S] [--runs N] [--minutes M] [--workers W] [--every SECONDS] [--parallel P]
 * [--hosts 1|2] [--machines sandbox|qemu] [--server file|postgres] [--plan]`: runs while, for M minutes, by a plan that follows from these
 * numbers alone, everything that they stand on breaks. Exit 1 where an invariant is broken.
 */
import { parseArgs } from 'node:util';
import { confine, confinedRoot } from './confinement.js';
import { faultText, planOf, type PlanSize } from './plan.js';
import { torment } from './torment.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '5' },
    workers: { type: 'string', default: '3' },
    every: { type: 'string', default: '5' },
    parallel: { type: 'string', default: '16' },
    hosts: { type: 'string', default: '1' },
    machines: { type: 'string', default: 'sandbox' },
    server: { type: 'string', default: 'file' },
    plan: { type: 'boolean', default: false },
  },
});
const root = confinedRoot();
if (values.seed === undefined && !values.plan) {
  process.argv.push('--seed', (values.seed = String(Math.floor(Math.random() * 1e9))));
}
const size: PlanSize = {
  seed: Number(values.seed ?? 0),
  runs: Number(values.runs),
  minutes: Number(values.minutes),
  workers: Number(values.workers),
  every: Number(values.every),
  hosts: values.hosts === '2' ? 2 : 1,
  machines: values.machines === 'qemu' ? 'qemu' : 'sandbox',
  server: values.server === 'postgres' ? 'postgres' : 'file',
};
const plan = planOf(size);
if (values.plan) {
  for (const run of plan.runs) console.log(JSON.stringify(run));
  for (const fault of plan.faults) console.log(faultText(fault));
  process.exit(0);
}
if (root === undefined) process.exit(await confine(size.server));

const replay = `npm run torture -- ${Object.entries({ ...size, parallel: values.parallel })
  .map(([name, value]) => `--${name} ${value}`)
  .join(' ')}`;
console.log(replay);
const say = (line: string) => console.log(line);
const { runs, hostsLost, verdicts, faults, broken, seconds } = await torment(plan, {
  root,
  parallel: Number(values.parallel),
  say,
});
console.table({
  runs,
  seconds: Math.round(seconds),
  'runs a minute': Math.round((runs / seconds) * 60),
  ...verdicts,
  'hosts lost': hostsLost,
});
console.table(faults);
for (const { invariant, run, detail } of broken) console.log(`BROKEN ${invariant}: ${run}: ${detail}`);
console.log(broken.length === 0 ? 'no invariant is broken' : `${broken.length} broken; the same again: ${replay}`);
process.exit(broken.length === 0 ? 0 : 1);
