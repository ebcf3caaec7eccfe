import type { MachineShape, Profile } from '../../src/domain/profile.js';
import type { RunRequest } from '../../src/domain/run.js';
import type { PlannedRun, PlanSize } from './plan.js';

const HEAL = 'torture-heal';

/** Its starts are written down outside of the machine, by itself; what it prints is its run's name and numbers. */
const INSTALLER = `attempt=$(basename "$(dirname "$(readlink /proc/$$/fd/1)")")
write_down() { RECORD; }
write_down starts "$attempt"
echo "::PHASE::BEGIN"
i=0
while [ $i -lt "$TORTURE_LINES" ]; do
  i=$((i + 1)); echo "line $i of $TORTURE_RUN"
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

/** Where a machine's installer and heals write down that they ran: a folder, or what listens on the host of a guest that sees none. */
export interface Recording {
  readonly folder: string;
  readonly port: number;
}

/** Appends its second argument, and which machine it is, to the run's file of that kind. In a guest bash makes the connection; 10.0.2.2 is QEMU's name for the host. */
function recordCommand(machines: PlanSize['machines'], run: string, { folder, port }: Recording): string {
  return machines === 'sandbox'
    ? `echo "$2 $NIXPROOF_ROOT" >>"${folder}/${run}.$1"`
    : `bash -c 'echo "$0" >/dev/tcp/10.0.2.2/${port}' "${run}.$1 $2"`;
}

const SHAPES: Readonly<Record<PlanSize['machines'], MachineShape>> = {
  sandbox: { memoryMiB: 128, cpus: 1, diskBytes: [1 << 20], firmware: 'bios' },
  qemu: { memoryMiB: 1024, cpus: 1, diskBytes: [1 << 30], firmware: 'bios' },
};

export function requestOf(
  planned: PlannedRun,
  run: string,
  { machines, deploy, recording }: { machines: PlanSize['machines']; deploy: string; recording: Recording },
): RunRequest {
  const record = recordCommand(machines, run, recording);
  const profile: Profile = {
    name: planned.kind,
    driver: machines,
    ...(machines === 'qemu' ? { base: 'debian' } : {}),
    machine: machines === 'qemu' ? { ...SHAPES.qemu, network: { host: [recording.port] } } : SHAPES.sandbox,
    deploy: { from: deploy, to: '/root/config', exclude: [] },
    install: {
      kind: 'script',
      run: INSTALLER.replace('RECORD', () => record),
      timeoutMs: 600_000,
      stallMs: 300_000,
      // A sandbox is restarted in no time; nothing is installed that a virtual machine could start from.
      reboot: machines === 'sandbox',
      env: { TORTURE_RUN: run, TORTURE_KIND: planned.kind, TORTURE_LINES: String(planned.lines) },
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
          run: [`write_down() { ${record}; }; write_down heals applied; touch "$NIXPROOF_ROOT/fixed"`],
          config: {},
          undo: [],
          resume: 'rerun',
        },
      ],
    },
  };
  return { run, suite: 'suite-torture', profile, driver: machines, keep: 'never', searchAttributes: false };
}
