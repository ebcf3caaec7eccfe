/** The arrows of the architecture: cli → client → workflows → domain; worker → activities → machines, stream, … → domain. */
const only = (from, allowed, comment) => ({
  name: `${from}-imports`,
  comment,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: '^src/', pathNot: [`^src/${from}/`, '^src/domain/', ...allowed.map((a) => `^src/${a}`)] },
});
const noPackage = (from, packages, comment) => ({
  name: `${from}-packages`,
  comment,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: `node_modules/(${packages})` },
});

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src/', pathNot: '\\.d\\.ts$' }, to: {} },
    {
      name: 'domain-imports-nothing',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: '^src/domain/' },
    },
    only('stream', [], 'bytes → events: pure'),
    only('healing', ['machines/quote'], 'evidence → plan: pure; its commands are quoted where all are'),
    only('reading', ['healing/', 'stream/', 'host/'], 'a guest’s text, in threads'),
    only('host', [], 'this host: files, processes, locks'),
    only('machines', ['host/', 'bases/'], 'drivers know the host and what they boot, never Temporal'),
    only('bases', ['host/', 'machines/qemu/', 'machines/machine'], 'how a base is made'),
    only(
      'installers',
      ['machines/machine', 'machines/quote', 'machines/known-hosts', 'machines/missing-program', 'host/programs'],
      'what runs in the guest',
    ),
    only('faults', [], 'what can be made to go wrong: pure'),
    only('checks', ['machines/machine', 'machines/connection', 'reading/pool', 'stream/text'], 'what is verified'),
    only(
      'secrets',
      ['host/', 'machines/machine'],
      'where secrets come from, and what keeps them out of all that is written',
    ),
    only('config', ['host/', 'reading/pattern'], 'schema and loading'),
    only(
      'suites',
      ['config/', 'bases/', 'host/', 'machines/'],
      'configuration → the runs of a suite; where it comes from',
    ),
    only('records', ['host/'], 'artifacts and the run index'),
    only('reports', ['records/'], 'one file a format'),
    only('temporal', ['host/'], 'what a Temporal server is spoken to with'),
    only('stack', ['host/', 'temporal/', 'client', 'version', 'worker'], 'the local stack'),
    only(
      'activities',
      [
        'host/',
        'host-directory',
        'machines/',
        'stream/',
        'healing/',
        'reading/',
        'faults/',
        'installers/',
        'checks/',
        'secrets/',
        'records/',
        'reports/',
        'suites/',
      ],
      'the only place that knows Temporal and the machines',
    ),
    {
      name: 'workflows-are-pure',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: {
        path: '^src/',
        pathNot: ['^src/workflows/', '^src/domain/', '^src/healing/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'workflow-packages',
      severity: 'error',
      from: { path: '^src/(workflows|domain|stream|healing)/' },
      to: { dependencyTypes: ['npm'], pathNot: '@temporalio/(workflow|common)' },
    },
    noPackage(
      '(machines|bases|installers|checks|config|suites|reading|records|reports|host)',
      '@temporalio',
      'only activities, client, worker and stack know Temporal',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
