/**
 * The files that mutation tests change, with the tests that are run for them. The tests take
 * seconds: each mutant is a run of some.
 */
export const AREAS = {
  escaping: {
    files: [
      'src/reports/escape.ts',
      'src/reports/xml.ts',
      'src/reports/html/template.ts',
      'src/machines/libvirt/xml.ts',
    ],
    tests: [
      'test/unit/reports/escape.test.ts',
      'test/unit/reports/xml.test.ts',
      'test/unit/machines/libvirt/xml.test.ts',
    ],
  },
  verdicts: {
    files: ['src/domain/verdict.ts', 'src/domain/failure.ts', 'src/domain/attempt.ts', 'src/workflows/run-state.ts'],
    tests: ['test/unit/domain/verdict.test.ts', 'test/unit/workflows/run-state.test.ts'],
  },
  healing: {
    files: [
      'src/healing/ranking.ts',
      'src/diagnosis/candidates.ts',
      'src/diagnosis/causes.ts',
      'src/healing/progress-check.ts',
      'src/healing/beta.ts',
    ],
    tests: [
      'test/unit/healing/ranking.test.ts',
      'test/unit/diagnosis/candidates.test.ts',
      'test/unit/healing/progress-check.test.ts',
    ],
  },
  workflows: {
    files: [
      'src/workflows/heal-loop.ts',
      'src/workflows/race.ts',
      'src/workflows/heal-steps.ts',
      'src/workflows/steps.ts',
      'src/workflows/lost-host.ts',
      'src/workflows/test-suite.ts',
      'src/workflows/pause-gate.ts',
    ],
    tests: [
      'test/unit/workflows/heal-loop.test.ts',
      'test/unit/workflows/heal-race.test.ts',
      'test/unit/workflows/steps.test.ts',
      'test/unit/workflows/test-suite.test.ts',
    ],
  },
  stream: {
    files: ['src/stream/parser.ts', 'src/stream/window.ts', 'src/stream/line.ts', 'src/stream/pending-line.ts'],
    tests: [
      'test/unit/stream/parser.test.ts',
      'test/unit/stream/markers.test.ts',
      'test/unit/stream/nix.test.ts',
      'test/unit/stream/serialize.test.ts',
      'test/unit/stream/text.test.ts',
    ],
  },
  recording: {
    files: ['src/activities/install/recording.ts'],
    tests: [
      'test/unit/activities/install/recording.test.ts',
      'test/unit/activities/install/recording-secrets.test.ts',
      'test/unit/activities/install/follow-installer.test.ts',
      'test/unit/activities/step/lease.test.ts',
    ],
  },
  leases: {
    files: [
      'src/activities/step/lease.ts',
      'src/host/fence.ts',
      'src/machines/ssh/lease.ts',
      'src/stack/membership/claims.ts',
    ],
    tests: [
      'test/unit/activities/step/lease.test.ts',
      'test/unit/host/fence.test.ts',
      'test/unit/machines/ssh/lease.test.ts',
      'test/unit/stack/membership/claims.test.ts',
    ],
  },
  slots: {
    files: ['src/machines/slots.ts'],
    tests: ['test/unit/machines/slots.test.ts'],
  },
  following: {
    files: ['src/activities/install/follow-installer.ts', 'src/activities/install/guest-state.ts'],
    tests: [
      'test/unit/activities/install/follow-installer.test.ts',
      'test/unit/activities/install/back-pressure.test.ts',
    ],
  },
  deploying: {
    files: [
      'src/activities/deploy/deploy.ts',
      'src/host/tree/list.ts',
      'src/host/tree/digest.ts',
      'src/host/tree/archive.ts',
      'src/host/tree/send.ts',
      'src/host/tree/copy.ts',
    ],
    tests: ['test/unit/activities/deploy/deploy.test.ts', 'test/unit/host/tree/copy.test.ts'],
  },
  checks: {
    files: ['src/checks/verify.ts', 'src/checks/shell.ts'],
    tests: ['test/unit/checks/verify.test.ts', 'test/unit/checks/kinds.test.ts'],
  },
};
