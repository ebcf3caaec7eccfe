import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readJson } from '../../../../src/host/files.js';
import { serverCache, type CacheManifest } from '../../../../src/stack/server/executable-cache.js';
import { findTemporalServer, getTemporalServer } from '../../../../src/stack/server/temporal-server.js';

let folder: string;
let env: NodeJS.ProcessEnv;
let lines: string[];
const work = { signal: new AbortController().signal, progress: (line: string) => void lines.push(line) };

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-server-'));
  lines = [];
  // A proxy that nobody answers at keeps the SDK from downloading.
  env = {
    PATH: path.join(folder, 'bin'),
    XDG_CACHE_HOME: path.join(folder, 'cache'),
    HTTPS_PROXY: 'http://127.0.0.1:9',
  };
  await mkdir(path.join(folder, 'bin'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function program(name: string, script: string): Promise<void> {
  await writeFile(path.join(folder, 'bin', name), `#!/bin/sh\n${script}\n`);
  await chmod(path.join(folder, 'bin', name), 0o755);
}

const says = (version: string) =>
  `[ "$1" = --version ] && echo "temporal version ${version} (Server 1.29.1, UI 2.42.1)"; exit 0`;

/** A compiler stands in for Go's, which takes minutes: it writes down that it was asked and makes a program that says its version. */
const compiler = (says: string) => `
if [ "$1" = env ]; then printf 'go1.26.0\\nauto\\n'; exit 0; fi
echo "$@" >> ${path.join(folder, 'asked')}
printf '%s\\n' '#!/bin/sh' '${says}' > "$GOBIN/temporal"
/bin/chmod 755 "$GOBIN/temporal"`;

describe('the server a host has', () => {
  test('temporal on PATH, where it is recent enough', async () => {
    await program('temporal', says('1.3.0'));
    expect(await findTemporalServer({ work, env })).toEqual({
      file: path.join(folder, 'bin', 'temporal'),
      version: '1.3.0 (Server 1.29.1, UI 2.42.1)',
      source: 'path',
    });
  });

  test.each(['0.11.0', 'nonsense'])('not one that says version %s', async (version) => {
    await program('temporal', says(version));
    expect(await findTemporalServer({ work, env })).toBeUndefined();
  });
});

describe('getting one', () => {
  test('is done once for all who need it at the same moment, and kept', async () => {
    await program('go', compiler(says('1.5.1')));
    const found = await Promise.all([1, 2, 3].map(() => getTemporalServer({ work, env })));
    const [first] = found;
    expect(found).toEqual([first, first, first]);
    const file = path.join(serverCache(env).folder, '1.5.1', `temporal-${process.platform}-${process.arch}`);
    expect(first).toEqual({ file, version: '1.5.1 (Server 1.29.1, UI 2.42.1)', source: 'cache' });
    expect((await readFile(path.join(folder, 'asked'), 'utf8')).trim().split('\n')).toHaveLength(1);
    expect(await readJson<CacheManifest>(path.join(path.dirname(file), 'manifest.json'))).toMatchObject({
      source: 'go',
      version: '1.5.1',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(await readdir(serverCache(env).folder)).toEqual(['1.5.1']);
    expect(
      lines.filter((line) => line.startsWith("no Temporal server from the Temporal SDK's download:")),
    ).toHaveLength(1);
    expect(lines).toContainEqual(expect.stringContaining('building the Temporal server 1.5.1 with go1.26.0'));
  });

  test('is done again where a byte of what is kept has changed, and that is never run', async () => {
    await program('go', compiler(says('1.5.1')));
    const { file } = await getTemporalServer({ work, env });
    const ran = path.join(folder, 'ran');
    const before = await readFile(file, 'utf8');
    await writeFile(file, `#!/bin/sh\n: >${ran}\n`.padEnd(before.length, '#'));
    expect(await findTemporalServer({ work, env })).toBeUndefined();
    expect(await readFile(ran, 'utf8').catch(() => 'never')).toBe('never');
    await getTemporalServer({ work, env });
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  test('is done again where what is kept has changed', async () => {
    await program('go', compiler(says('1.5.1')));
    const { file } = await getTemporalServer({ work, env });
    await appendFile(file, '# changed\n');
    expect(await findTemporalServer({ work, env })).toBeUndefined();
    expect((await getTemporalServer({ work, env })).file).toBe(file);
    expect((await readFile(path.join(folder, 'asked'), 'utf8')).trim().split('\n')).toHaveLength(2);
  });

  test('says all that was tried where nothing works', async () => {
    await program('temporal', says('0.11.0'));
    const failure = await getTemporalServer({ work, env }).then(
      () => undefined,
      (error: unknown) => error as { code: string; hint: string },
    );
    expect(failure?.code).toBe('HOST_TEMPORAL_MISSING');
    for (const tried of [
      '1.0 or later is needed',
      'nothing usable',
      "the Temporal SDK's download: ",
      'Go: go is not installed',
    ]) {
      expect(failure?.hint).toContain(tried);
    }
    expect(await readdir(serverCache(env).folder)).toEqual([]);
  });
});
