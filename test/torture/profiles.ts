import type { Profile } from '../../src/domain/profile.js';
import type { RunRequest } from '../../src/domain/run.js';
import type { PlannedRun } from './plan.js';

const HEAL = 'torture-heal';

/** Its starts are written down outside of the machine, by itself; what it prints is its run's name and numbers. */
const INSTALLER = `attempt=$(basename "$(dirname "$(readlink /proc/$$/fd/1)")")
echo "$attempt" >>"$TORTURE_RECORDS/$NIXPROOF_MACHINE.starts"
echo "::PHASE::BEGIN"
i=0
while [ $i -lt "$TORTURE_LINES" ]; do
  i=$((i + 1)); echo "line $i of $NIXPROOF_MACHINE"
  [ $((i % 25)) -ne 0 ] || sleep 0.1
done
echo "::PHASE::END"
case $TORTURE_KIND in
  failed) echo "gives up"; exit 3;;
  healed) [ -e "$NIXPROOF_ROOT/fixed" ] || { echo "Job for demo.service failed"; exit 1; };;
esac
echo "::SUCCESS::done"
`;

/** Every byte that the installer of a run prints in one attempt. */
export function expectedLog({ kind, lines }: PlannedRun, run: string, attempt: number): string {
  const counted = Array.from({ length: lines }, (_, index) => `line ${index + 1} of ${run}\n`).join('');
  const fails = kind === 'failed' || (kind === 'healed' && attempt === 1);
  const why = kind === 'failed' ? 'gives up\n' : 'Job for demo.service failed\n';
  return `::PHASE::BEGIN\n${counted}::PHASE::END\n${fails ? why : '::SUCCESS::done\n'}`;
}

export function requestOf(planned: PlannedRun, run: string, folders: { deploy: string; records: string }): RunRequest {
  const profile: Profile = {
    name: planned.kind,
    driver: 'sandbox',
    machine: { memoryMiB: 128, cpus: 1, diskBytes: [1 << 20], firmware: 'bios' },
    deploy: { from: folders.deploy, to: '/root/config', exclude: [] },
    install: {
      kind: 'script',
      run: INSTALLER,
      timeoutMs: 600_000,
      stallMs: 300_000,
      reboot: true,
      env: { TORTURE_RECORDS: folders.records, TORTURE_KIND: planned.kind, TORTURE_LINES: String(planned.lines) },
    },
    checks: [{ name: 'it answers', kind: 'run', run: 'echo yes', expect: 'yes' }],
    healing: {
      policy: planned.kind === 'healed' ? 'auto' : 'never',
      threshold: 0.6,
      max: 2,
      askMs: 60_000,
      heals: [
        {
          name: HEAL,
          for: 'service.failed',
          confidence: 0.95,
          run: [`echo applied >>"${folders.records}/$NIXPROOF_MACHINE.heals"; touch "$NIXPROOF_ROOT/fixed"`],
          config: {},
          undo: [],
          resume: 'rerun',
        },
      ],
    },
  };
  return { run, suite: 'suite-torture', profile, driver: 'sandbox', keep: 'never', searchAttributes: false };
}
