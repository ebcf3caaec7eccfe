import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import type { SuiteReport } from '../../src/domain/suite.js';
import { quote } from '../../src/machines/quote.js';
import { CLI, LONG, openBench, reached } from './bench.js';

test('with --json in a file, the terminal shows how the profile gets on', LONG, async () => {
  const bench = await openBench('own');
  await bench.worker();
  const cwd = await bench.folder({
    'nixproof.yaml': 'profiles: { lively: { driver: sandbox, install: { kind: script, run: ./install.sh } } }\n',
    'install.sh': '#!/bin/sh\nnixproof-phase COPYING\nuntil [ -e "$NIXPROOF_ROOT/go" ]; do sleep 0.1; done\n',
  });
  // Node has no pseudo-terminals: script(1) makes one, of no size.
  const command = `stty rows 24 cols 100; ${quote([process.execPath, CLI, 'test', '--json'])} >suite.json`;
  const terminal = execa('script', ['-qefc', command, '/dev/null'], {
    cwd,
    env: { ...bench.env, TERM: 'xterm' },
    extendEnv: false,
    reject: false,
    stdin: 'pipe',
  });
  onTestFinished(() => void terminal.kill('SIGKILL'));
  let seen = '';
  terminal.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  await reached('the phase on the terminal', async () => seen.includes('▸ COPYING'));
  await writeFile(path.join(await bench.root('lively'), 'go'), '');
  expect((await terminal).exitCode).toBe(0);
  expect(seen).toMatch(/✓ lively +passed/);
  const suite = JSON.parse(await readFile(path.join(cwd, 'suite.json'), 'utf8')) as SuiteReport;
  expect(suite.runs).toMatchObject([{ profile: 'lively', verdict: 'passed' }]);
  await bench.expectNothingLeft();
});
