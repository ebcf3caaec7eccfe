/**
 * `npm run torture -- [--seed S] [--runs N] [--minutes M] [--workers W] [--parallel P] [--plan]`: runs on sandbox machines while
 * workers and the server are killed, stopped and ended by a plan that follows from these numbers alone. Exit 1 where an invariant
 * is broken.
 */
import { parseArgs } from 'node:util';
import { faultText, planOf } from './plan.js';
import { torment } from './torment.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    runs: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '5' },
    workers: { type: 'string', default: '3' },
    parallel: { type: 'string', default: '16' },
    plan: { type: 'boolean', default: false },
  },
});
const size = {
  seed: Number(values.seed),
  runs: Number(values.runs),
  minutes: Number(values.minutes),
  workers: Number(values.workers),
};
const replay = `npm run torture -- ${Object.entries({ ...size, parallel: values.parallel })
  .map(([name, value]) => `--${name} ${value}`)
  .join(' ')}`;
console.log(replay);
const plan = planOf(size);
if (values.plan) {
  for (const run of plan.runs) console.log(JSON.stringify(run));
  for (const fault of plan.faults) console.log(faultText(fault));
  process.exit(0);
}
console.log('not done here: disk full, clock jumps, a black hole between worker and machine');
const { runs, verdicts, faults, broken, seconds } = await torment(plan, {
  ...size,
  parallel: Number(values.parallel),
  say: (line) => console.log(line),
});
console.table({ runs, seconds: Math.round(seconds), 'runs a minute': Math.round((runs / seconds) * 60), ...verdicts });
console.table(faults);
for (const { invariant, run, detail } of broken) console.log(`BROKEN ${invariant}: ${run}: ${detail}`);
console.log(broken.length === 0 ? 'no invariant is broken' : `${broken.length} broken; the same again: ${replay}`);
process.exit(broken.length === 0 ? 0 : 1);
