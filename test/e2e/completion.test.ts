import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { helpOf, leaves, manPage } from '../../src/cli/man-page.js';
import { createProgram } from '../../src/cli/program.js';
import { runCommand } from '../../src/host/process.js';
import { FAULT_NAMES } from '../../src/domain/fault.js';
import { PROGRAM, falseMentions, readHelp } from '../docs/command-line.js';
import { ROOT } from '../docs/pages.js';
import { toolIsHere } from '../unit/reports/tool.js';

let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-completion-'));
  await mkdir(path.join(folder, 'bin'));
  await writeFile(path.join(folder, 'bin/nixproof'), `#!/bin/sh\nexec ${process.execPath} ${PROGRAM} "$@"\n`);
  await chmod(path.join(folder, 'bin/nixproof'), 0o755);
  const install = { install: { kind: 'script', run: 'true' } };
  await writeFile(
    path.join(folder, 'nixproof.json'),
    JSON.stringify({ profiles: { vm: install, vault: install, server: install } }),
  );
  for (const run of ['vm-20260101-000000-aaaa', 'vm-20260102-000000-bbbb'])
    await mkdir(path.join(folder, 'home/runs', run), { recursive: true });
  env = {
    ...process.env,
    NIXPROOF_HOME: path.join(folder, 'home'),
    PATH: `${folder}/bin:${process.env['PATH'] ?? ''}`,
  };
});

async function complete(...words: string[]): Promise<string[]> {
  const text = await runCommand(path.join(folder, 'bin/nixproof'), ['__complete', '--', ...words], {
    cwd: folder,
    env,
  });
  return text.split('\n').filter((word) => word !== '');
}

describe('completion knows', () => {
  test.each<[what: string, words: string[], found: readonly string[]]>([
    ['commands', ['sta'], ['status', 'stats']],
    ['commands of a command', ['vm', 'st'], ['start', 'stop']],
    ['options', ['test', '--dr'], ['--driver', '--drill']],
    ['choices of an option', ['test', '--keep', ''], ['never', 'failed', 'always']],
    ['choices of an argument', ['completion', ''], ['bash', 'zsh', 'fish']],
    ['faults', ['test', '--inject', ''], FAULT_NAMES],
    [
      'profiles of the nearest configuration, behind others and options',
      ['test', 'vm', '--parallel', '2', 'v'],
      ['vm', 'vault'],
    ],
    ['runs, newest first', ['logs', 'vm-'], ['vm-20260102-000000-bbbb', 'vm-20260101-000000-aaaa']],
    ['nothing where there is nothing', ['no-such-command', 'x'], []],
  ])('%s', async (_, words, found) => {
    expect(await complete(...words)).toEqual(found);
  });
});

test('completion runs no configuration that is a program', async () => {
  const strange = await mkdtemp(path.join(tmpdir(), 'nixproof-completion-'));
  onTestFinished(() => rm(strange, { recursive: true }));
  const proof = path.join(strange, 'ran');
  await writeFile(path.join(strange, 'nixproof.ts'), `require('fs').writeFileSync(${JSON.stringify(proof)}, '')`);
  const { stdout, status } = spawnSync(process.execPath, [PROGRAM, '__complete', '--', 'test', ''], {
    cwd: strange,
    env,
  });
  expect({ stdout: String(stdout).trim(), status }).toEqual({ stdout: '', status: 0 });
  expect(existsSync(proof)).toBe(false);
});

/** What each shell itself makes of `nixproof test va` and a tab. */
const SHELLS = {
  bash: 'source <(nixproof completion bash); COMP_WORDS=(nixproof test va) COMP_CWORD=2; _nixproof; echo "${COMPREPLY[@]}"',
  zsh: 'compdef() { :; }; compadd() { print -r -- ${(P)2} }; words=(nixproof test va); CURRENT=3; source <(nixproof completion zsh); _nixproof',
  fish: 'nixproof completion fish | source; complete --do-complete "nixproof test va"',
} as const;
for (const [shell, script] of Object.entries(SHELLS)) {
  test.runIf(await toolIsHere(shell, ['-c', 'true']))(`${shell} completes a profile`, () => {
    const { stdout, stderr } = spawnSync(shell, ['-c', script], { cwd: folder, env, encoding: 'utf8' });
    expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: 'vault', stderr: '' });
  });
}

test('every command has examples in its help, and they call what there is', async () => {
  const help = readHelp();
  for (const { path: words, command } of leaves(createProgram(), [])) {
    const text = helpOf(command);
    expect(text, words.join(' ')).toMatch(/^Examples?:\n {2}.*nixproof /m);
    expect(falseMentions(/^Examples?:\n((?: {2}.*\n?)+)/m.exec(text)?.[1] ?? '', help), words.join(' ')).toEqual([]);
  }
});

test('every command but the one that prints a script takes --verbose', () => {
  const without = leaves(createProgram(), []).filter(
    ({ command }) => !command.options.some(({ long }) => long === '--verbose'),
  );
  expect(without.map(({ path: words }) => words.join(' '))).toEqual(['completion']);
});

test('the manual page is the help of now, and groff reads it without a word', async () => {
  const page = await readFile(path.join(ROOT, 'man/nixproof.1'), 'utf8');
  expect(page).toBe(manPage(createProgram()));
  if (!(await toolIsHere('groff', ['--version']))) return;
  const { stderr, status } = spawnSync('groff', ['-man', '-ww', '-z', path.join(ROOT, 'man/nixproof.1')], {
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
});
