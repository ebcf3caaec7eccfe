import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { obeyed } from '../runner-commands.js';
import { LONG, onlyRun, openBench } from './bench.js';

/** What a guest prints to be obeyed, in every place that is shown. */
const HOSTILE = [
  '::PHASE::##[add-path]/evil',
  '::PROGRESS::##[error]stage::1/2',
  '::WARNING::##[warning]w',
  '::ERROR::##[set-output name=a]b',
  '   ::add-mask::e',
  '::stop-commands::mine',
  '::mine::',
  '::error file=a::b',
  'Job for ##[group]x.service failed',
];
const CONFIG = JSON.stringify({
  profiles: {
    hostile: {
      driver: 'sandbox',
      install: { kind: 'script', run: `cat hostile.txt; [ -e "$NIXPROOF_ROOT/fixed" ] || exit 1` },
      checks: [
        { name: 'red', run: 'echo "##[error]red"; echo "::error::red"; exit 1' },
        { name: 'fine', run: 'cat hostile.txt' },
      ],
    },
  },
  healing: {
    heals: [
      {
        name: 'fix-it',
        for: 'service.failed',
        run: ['touch "$NIXPROOF_ROOT/fixed"'],
        config: { 'notes.txt': '::error::patched\n##[error]patched\n' },
      },
    ],
  },
});

test('in GitHub Actions no command obeyed in any output is a guest’s', LONG, async () => {
  const bench = await openBench('own');
  await bench.worker();
  const folder = await bench.folder({ 'nixproof.json': CONFIG, 'hostile.txt': `${HOSTILE.join('\n')}\n` });
  const runner = bench.withEnv({ GITHUB_ACTIONS: 'true' });
  const json = await runner.np(folder, 'test', '--json');
  const { run } = onlyRun(json);
  const log = path.join(folder, 'install.log');
  await writeFile(log, (await runner.np(folder, 'logs', run)).stdout);
  const outputs = [
    json,
    await runner.np(folder, 'test', '--no-heal'),
    await runner.np(folder, 'status'),
    ...(await Promise.all(
      [
        ['status', run],
        ['status', run, '--json'],
        ['watch', run],
        ['logs', run],
        ['logs', run, '--format', 'events'],
        ['report', run],
        ['report', run, '--format', 'json'],
        ['report', run, '--format', 'html'],
        ['report', run, '--format', 'junit'],
        ['patch', run],
        ['diagnose', log],
      ].map((args) => runner.np(folder, ...args)),
    )),
  ];
  for (const { stdout, stderr } of outputs) {
    for (const output of [stdout, stderr, stdout + stderr, stderr + stdout]) {
      const names = obeyed(output).map(({ name }) => name);
      const [stop, word, ...others] = names;
      expect({ output, others, first: stop ?? 'stop-commands' }).toEqual({
        output,
        others: [],
        first: 'stop-commands',
      });
      // Whoever comes after us in the same step is heard again.
      if (stop !== undefined) expect(word).toMatch(/^[0-9a-f-]{36}$/);
    }
  }
  const patch = outputs.find(({ stdout }) => stdout.includes('+::error::patched'));
  expect(patch?.stdout).toContain('+##[error]patched\n');
  const unguarded = await bench.np(folder, 'logs', run);
  expect(obeyed(unguarded.stdout).length).toBeGreaterThan(0);
  expect(await readFile(log, 'utf8')).toContain('## [add-path]');
});
