import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { pages, ROOT } from '../docs/pages.js';

const text = (file: string) => readFile(path.join(ROOT, file), 'utf8');

interface Lock {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: true; readonly dev?: true }>>;
}
const lock = async () => JSON.parse(await text('package-lock.json')) as Lock;
const nameOf = (place: string) => place.replace(/^.*node_modules\//, '');

test('SECURITY.md names the dependencies that have install scripts, and no others', async () => {
  const { packages } = await lock();
  const scripted = Object.entries(packages).filter(([, { hasInstallScript, dev }]) => hasInstallScript && !dev);
  const [, table = ''] = (await text('SECURITY.md')).split('### Dependencies with install scripts');
  const named = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
  expect([...named].sort()).toEqual([...new Set(scripted.map(([place]) => nameOf(place)))].sort());
});

test('install scripts are not run where we install ourselves', async () => {
  for (const file of ['action.yml', 'Dockerfile', 'examples/ci/gitlab-ci.yml', 'docs/ci.md']) {
    const installs = [...(await text(file)).matchAll(/npm ci\b.*/g)].map(([line]) => line);
    expect(installs.length).toBeGreaterThan(0);
    for (const line of installs) expect(line).toContain('--ignore-scripts');
  }
});

test('every action is pinned by commit, with its version beside it', async () => {
  const files = ['action.yml', 'examples/ci/github.yml', ...pages().map(({ name }) => name)];
  const uses = (await Promise.all(files.map(text))).flatMap((content) => [...content.matchAll(/uses: (.*)/g)]);
  expect(uses.length).toBeGreaterThan(4);
  for (const [, used = ''] of uses) {
    expect(used).toMatch(/^(?:OWNER\/nixproof@REVISION|actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/);
  }
});

test('the example of a workflow may only read, runs for pull requests without secrets, and keeps no token', async () => {
  const workflow = parse(await text('examples/ci/github.yml')) as Readonly<Record<string, unknown>>;
  expect(workflow['permissions']).toEqual({ contents: 'read' });
  expect(workflow['on']).toEqual(['pull_request']);
  expect(JSON.stringify(workflow)).not.toMatch(/secrets\.|pull_request_target/);
  expect(JSON.stringify(workflow)).toContain('"persist-credentials":false');
});

test('the action tests untrusted configurations unless it is told otherwise', async () => {
  const action = parse(await text('action.yml')) as { inputs: Record<string, { default?: string }> };
  expect(action.inputs['untrusted']?.default).toBe('true');
});

test('the package carries a list of what it is made of', async () => {
  const { files, scripts, name } = JSON.parse(await text('package.json')) as {
    readonly files: readonly string[];
    readonly scripts: Readonly<Record<string, string>>;
    readonly name: string;
  };
  expect(files).toContain('sbom.cdx.json');
  expect(scripts['prepack']).toContain('scripts/sbom.mjs');
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-sbom-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'sbom.json');
  await promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts/sbom.mjs'), file]);
  const list = JSON.parse(await readFile(file, 'utf8')) as {
    readonly bomFormat: string;
    readonly metadata: { readonly component: { readonly name: string } };
    readonly components: readonly { readonly name: string; readonly group?: string }[];
  };
  expect([list.bomFormat, list.metadata.component.name]).toEqual(['CycloneDX', name]);
  const listed = new Set(list.components.map((one) => one.name));
  const { packages } = await lock();
  const direct = Object.keys((packages[''] as unknown as { dependencies: object }).dependencies);
  expect(direct.filter((dependency) => !listed.has(dependency))).toEqual([]);
  const shipped = Object.entries(packages).filter(([place, { dev }]) => place !== '' && !dev);
  expect(list.components.length).toBeGreaterThan(direct.length);
  expect(list.components.length).toBeLessThanOrEqual(shipped.length);
  expect(listed.has('vitest')).toBe(false);
}, 60_000);
