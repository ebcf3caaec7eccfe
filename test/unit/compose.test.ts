import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { cacheDirectory } from '../../src/host/paths.js';
import { runCommand } from '../../src/host/process.js';

/** What this test looks at of a service (the Compose Specification has the rest). */
interface Service {
  readonly image: string;
  readonly restart?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly networks?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
}

const FILE = fileURLToPath(new URL('../../docker-compose.yml', import.meta.url));
const { services, volumes, networks } = parse(readFileSync(FILE, 'utf8')) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
};

test('there are a server, its database, its UI and a worker', () => {
  expect(Object.keys(services)).toEqual(['postgresql', 'temporal', 'ui', 'worker']);
});

const BY_DIGEST = /:\d+(\.\d+)+(-\w+)*@sha256:[\da-f]{64}$/;

describe.each(Object.entries(services))('%s', (_name, service) => {
  // The worker's own is built here.
  test('it has a health check', () => expect(service.healthcheck?.test[0]).toMatch(/^CMD/));
  test('it is restarted', () => expect(service.restart).toBe('unless-stopped'));
  test('it waits until what it needs is healthy', () => {
    for (const { condition } of Object.values(service.depends_on ?? {})) expect(condition).toBe('service_healthy');
  });
  test('its ports are the loopback interface’s', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });
  test('its named volumes are declared', () => {
    const named = (service.volumes ?? [])
      .map((volume) => volume.split(':')[0] ?? '')
      .filter((name) => /^\w+$/.test(name));
    expect(Object.keys(volumes)).toEqual(expect.arrayContaining(named));
  });
});

test('the database is on an internal network that only the server shares', () => {
  expect(networks['database']).toEqual({ internal: true });
  const on = (name: string) => services[name]?.networks ?? ['default'];
  expect(Object.keys(services).filter((name) => on(name).includes('database'))).toEqual(['postgresql', 'temporal']);
  expect(on('postgresql')).toEqual(['database']);
});

test('no password has a default', () => {
  const passwords = Object.values(services)
    .flatMap(({ environment = {} }) => Object.entries(environment))
    .filter(([name]) => /PASSWORD|PWD/.test(name));
  expect(passwords).toHaveLength(2);
  for (const [, value] of passwords) expect(value).toMatch(/^\$\{POSTGRES_PASSWORD:\?.+\}$/);
});

test('images from elsewhere are pinned', () => {
  const { worker: _own, ...others } = services;
  for (const { image } of Object.values(others)) expect(image).toMatch(BY_DIGEST);
});

test('the worker’s image is built on one that is pinned', () => {
  const dockerfile = readFileSync(path.join(path.dirname(FILE), 'Dockerfile'), 'utf8');
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  expect(bases).toHaveLength(2);
  for (const base of bases) expect(base).toMatch(BY_DIGEST);
});

test('the version of the worker’s image is this package’s', () => {
  const { version } = JSON.parse(readFileSync(path.join(path.dirname(FILE), 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(services['worker']?.image).toBe(`nixproof:${version}`);
});

// CONTRIBUTING.md says how it comes there.
const CHECKER = path.join(cacheDirectory(), 'tools', 'compose-go', 'cmd');
const required = (process.env['NIXPROOF_TEST_REQUIRE'] ?? '').split(',').includes('compose');
if (!existsSync(CHECKER) && !required) console.warn(`skipped: there is no ${CHECKER} to check docker-compose.yml with`);

describe.skipIf(!existsSync(CHECKER) && !required)('compose-go', () => {
  /** The checker takes no variables: what must be set is written into a copy. */
  const check = async (change: (text: string) => string) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-compose-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'docker-compose.yml');
    const text = readFileSync(FILE, 'utf8').replaceAll(/\$\{\w+:\?[^}]*\}/g, 'secret');
    await writeFile(file, change(text));
    return runCommand(CHECKER, [file]);
  };

  test('the file keeps to the Compose Specification', async () => {
    const resolved = parse(await check((text) => text)) as { readonly services: object };
    expect(Object.keys(resolved.services).sort()).toEqual(Object.keys(services).sort());
  });

  test('it starts nothing without a password', async () => {
    await expect(runCommand(CHECKER, [FILE])).rejects.toThrow('required variable POSTGRES_PASSWORD');
  });

  test('a wrong key would be refused', async () => {
    await expect(check((text) => text.replace('restart:', 'restrat:'))).rejects.toThrow('restrat');
  });
});
