import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../docs/pages.js';
import { LONG, openBench, type Bench } from './bench.js';

interface Step {
  readonly id?: string;
  readonly uses?: string;
  readonly if?: string;
  readonly run?: string;
  readonly shell?: string;
  readonly 'working-directory'?: string;
  readonly env?: Readonly<Record<string, string>>;
}
interface Action {
  readonly inputs: Readonly<Record<string, { readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

let action: Action;
let bench: Bench;
let runners: string;
beforeAll(async () => {
  action = parse(await readFile(path.join(ROOT, 'action.yml'), 'utf8')) as Action;
  bench = await openBench('own');
  await bench.worker();
  runners = await bench.folder({});
});

interface Job {
  readonly exit: number;
  readonly stdout: string;
  readonly summary: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly reports: string;
}

/** Runs the action's own steps in order as GitHub's runner does: bash, inputs through the environment, files for what comes back. */
async function job(workspace: string, given: Readonly<Record<string, string>>): Promise<Job> {
  // Its configurations run in sandboxes.
  const inputs: Readonly<Record<string, string>> = { untrusted: 'false', ...given };
  const temp = await mkdtemp(path.join(runners, 'runner-'));
  const added = path.join(temp, 'path');
  await writeFile(added, '');
  const summary = path.join(temp, 'summary.md');
  await writeFile(summary, '');
  const outputs = new Map<string, string>();
  const value = (text: string) =>
    text.replace(/\$\{\{ *([\w.-]+) *\}\}/g, (_, name: string) => {
      const input = /^inputs\.(.+)$/.exec(name)?.[1];
      return input === undefined ? (outputs.get(name) ?? '') : (inputs[input] ?? action.inputs[input]?.default ?? '');
    });
  let stdout = '';
  let exit = 0;
  for (const [index, step] of action.runs.steps.entries()) {
    if (step.run === undefined || exit !== 0) continue;
    if (step.if === "inputs.base != ''" && (inputs['base'] ?? '') === '') continue;
    const output = path.join(temp, `output-${index}`);
    await writeFile(output, '');
    const env = {
      ...bench.env,
      ...Object.fromEntries(Object.entries(step.env ?? {}).map(([name, text]) => [name, value(text)])),
      PATH: [...(await readFile(added, 'utf8')).split('\n').filter(Boolean), process.env['PATH'] ?? ''].join(':'),
      GITHUB_ACTION_PATH: ROOT,
      GITHUB_PATH: added,
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: summary,
      RUNNER_TEMP: temp,
      CI: 'true',
    };
    const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
      cwd: path.resolve(workspace, value(step['working-directory'] ?? '.')),
      env,
    });
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (stdout += text.toString()));
    exit = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
    for (const line of (await readFile(output, 'utf8')).split('\n')) {
      const [, name, text] = /^(\w+)=(.*)$/.exec(line) ?? [];
      if (name !== undefined) outputs.set(`steps.${step.id ?? ''}.outputs.${name}`, text ?? '');
    }
  }
  const results = Object.entries(action.outputs).map(([name, output]) => [name, value(output.value)] as const);
  return {
    exit,
    stdout,
    summary: await readFile(summary, 'utf8'),
    outputs: Object.fromEntries(results),
    reports: outputs.get('steps.test.outputs.reports') ?? '',
  };
}

const script = (run: string) => ({ driver: 'sandbox', install: { kind: 'script', run } });
const CONFIG = JSON.stringify({
  profiles: {
    good: script('true'),
    broken: script('echo "error: undefined variable \'x\' at /root/config/flake.nix:3:7"; exit 1'),
    mended: script('[ -e "$NIXPROOF_ROOT/fixed" ] || { echo "Job for demo.service failed"; exit 1; }'),
  },
  healing: { heals: [{ name: 'fix-it', for: 'service.failed', run: ['touch "$NIXPROOF_ROOT/fixed"'] }] },
});

describe.concurrent('the GitHub action', () => {
  test('is one that GitHub takes, and puts no input into a script', () => {
    expect(action.runs.using).toBe('composite');
    for (const { run, shell, uses, env } of action.runs.steps) {
      expect((run === undefined) !== (uses === undefined)).toBe(true);
      if (run === undefined) continue;
      expect(shell).toBe('bash');
      expect(run).not.toContain('${{');
      for (const value of Object.values(env ?? {})) expect(value).toMatch(/^\$\{\{ (?:inputs|steps)\.[\w.-]+ \}\}$/);
    }
    const used = [...JSON.stringify(action).matchAll(/inputs\.([\w-]+)/g)].map(([, name]) => name);
    expect([...new Set(used)].sort()).toEqual(Object.keys(action.inputs).sort());
  });

  test('passes where all passed or were healed, with a summary, annotations and reports', LONG, async () => {
    const workspace = await bench.folder({ 'nixproof.json': CONFIG });
    const done = await job(workspace, { profiles: 'good mended', args: '--parallel 2' });
    expect({ exit: done.exit, verdict: done.outputs['verdict'] }).toEqual({ exit: 0, verdict: 'healed' });
    expect(done.stdout).toContain(
      '\n::warning title=mended was healed::needed fix-it; nothing in the configuration was changed\n',
    );
    expect(done.summary).toMatch(/^## nixproof\n[^]*`good`[^]*`mended`/);
    expect(await readFile(path.join(done.reports, 'junit.xml'), 'utf8')).toContain('<testsuites');
    const strict = await job(workspace, { profiles: 'mended', args: '--strict' });
    expect(strict.exit).toBe(1);
  });

  test('fails at the line that failed, in a folder of the repository', LONG, async () => {
    const workspace = await bench.folder({ 'machines/nixproof.json': CONFIG });
    const done = await job(workspace, { profiles: 'broken', 'working-directory': 'machines' });
    expect({ exit: done.exit, verdict: done.outputs['verdict'] }).toEqual({ exit: 1, verdict: 'failed' });
    expect(done.stdout).toMatch(/^::error file=machines\/flake\.nix,line=3,col=7,title=broken%3A nix\.eval::/m);
    expect(done.summary).toContain('undefined variable');
  });

  test('trusts no configuration unless it is told to', LONG, async () => {
    const workspace = await bench.folder({ 'nixproof.json': CONFIG });
    const done = await job(workspace, { profiles: 'good', untrusted: 'true' });
    expect(done.exit).toBe(2);
    expect(done.stdout).toContain('error: profiles.good.driver: driver sandbox runs the installer');
  });

  test(
    'a configuration that is refused is its own message and exit status, and no shell reads an input',
    LONG,
    async () => {
      const workspace = await bench.folder({ 'nixproof.json': CONFIG });
      await mkdir(path.join(workspace, 'none'));
      const done = await job(workspace, { profiles: '$(touch${IFS}hacked) `id`;true' });
      expect(done.exit).toBe(2);
      expect(done.stdout).toContain('there is no profile "$(touch${IFS}hacked)"');
    },
  );
});

test('the examples for CI are YAML that calls what there is', async () => {
  const github = parse(await readFile(path.join(ROOT, 'examples/ci/github.yml'), 'utf8')) as {
    jobs: { nixproof: { steps: { uses?: string; with?: Record<string, string> }[] } };
  };
  const step = github.jobs.nixproof.steps.find(({ uses }) => uses === 'OWNER/nixproof@REVISION');
  expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step?.with ?? { missing: '' })));
  expect(JSON.stringify([github, await readFile(path.join(ROOT, 'action.yml'), 'utf8')])).not.toMatch(
    /npm install[^"]*nixproof/,
  );
  const gitlab = parse(await readFile(path.join(ROOT, 'examples/ci/gitlab-ci.yml'), 'utf8')) as {
    nixproof: { script: string[]; artifacts: { reports: { junit: string } } };
  };
  const { script: commands, artifacts } = gitlab.nixproof;
  expect(commands[0]).toContain(`--report-dir ${path.dirname(artifacts.reports.junit)}`);
});
