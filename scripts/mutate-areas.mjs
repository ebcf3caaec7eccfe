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
    files: ['src/domain/verdict.ts', 'src/domain/failure.ts', 'src/domain/attempt.ts', 'src/workflows/draft.ts'],
    tests: ['test/unit/domain/verdict.test.ts', 'test/unit/workflows/draft.test.ts'],
  },
  healing: {
    files: [
      'src/healing/ranking.ts',
      'src/healing/candidates.ts',
      'src/healing/causes.ts',
      'src/healing/proof.ts',
      'src/healing/beta.ts',
    ],
    tests: [
      'test/unit/healing/ranking.test.ts',
      'test/unit/healing/candidates.test.ts',
      'test/unit/healing/proof.test.ts',
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
      'src/workflows/holding.ts',
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
    tests: ['test/unit/stream/parser.test.ts'],
  },
  recording: {
    files: ['src/activities/recording.ts'],
    tests: ['test/unit/activities/recording.test.ts', 'test/unit/activities/lease.test.ts'],
  },
  leases: {
    files: ['src/activities/lease.ts', 'src/host/fence.ts', 'src/machines/ssh/lease.ts', 'src/stack/leases.ts'],
    tests: [
      'test/unit/activities/lease.test.ts',
      'test/unit/host/fence.test.ts',
      'test/unit/machines/ssh/lease.test.ts',
      'test/unit/stack/leases.test.ts',
    ],
  },
  slots: {
    files: ['src/machines/slots.ts'],
    tests: ['test/unit/machines/slots.test.ts'],
  },
  following: {
    files: ['src/activities/follow-installer.ts', 'src/activities/guest-state.ts'],
    tests: ['test/unit/activities/follow-installer.test.ts', 'test/unit/activities/back-pressure.test.ts'],
  },
  deploying: {
    files: [
      'src/activities/deploy.ts',
      'src/host/tree/list.ts',
      'src/host/tree/digest.ts',
      'src/host/tree/archive.ts',
      'src/host/tree/send.ts',
      'src/host/tree/copy.ts',
    ],
    tests: ['test/unit/activities/deploy.test.ts', 'test/unit/host/tree/copy.test.ts'],
  },
  checks: {
    files: ['src/checks/verify.ts', 'src/checks/shell.ts'],
    tests: ['test/unit/checks/verify.test.ts', 'test/unit/checks/kinds.test.ts'],
  },
};
