import { execa } from 'execa';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cacheLatency, usesCaches } from '../../../src/metrics/cache-latency.js';
import type { Connection } from '../../../src/machines/machine.js';
import { toolIsHere } from '../reports/tool.js';

/** Stands in for a connection: its guest is this host. */
const here: Pick<Connection, 'exec'> = {
  exec: async ([file = '', ...args]) => {
    const { exitCode, stdout, stderr } = await execa(file, args, { reject: false });
    return { exitCode: exitCode ?? 255, stdout, stderr };
  },
};
const { signal } = new AbortController();

describe.runIf(await toolIsHere('curl', ['--version']))('the latency of a binary cache', () => {
  const asked: (string | undefined)[] = [];
  const server = createServer(({ url }, response) => {
    asked.push(url);
    response.writeHead(404).end();
  });
  let folder = '';
  const latencyWith = async (conf: (port: number) => string) => {
    const file = path.join(folder, 'nix.conf');
    await writeFile(file, conf((server.address() as AddressInfo).port));
    return cacheLatency(here, signal, file);
  };
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'np-cache-'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });

  test('is that of the first one that is asked over HTTP, whatever it answers', async () => {
    const latency = await latencyWith(
      (port) =>
        `sandbox = true\nsubstituters = file:///mnt/cd http://127.0.0.1:${port}/own/?priority=10 https://other\n`,
    );
    expect(latency).toBeGreaterThan(0);
    expect(latency).toBeLessThan(10);
    expect(asked).toEqual(['/own/nix-cache-info']);
  });

  test('is not told where nothing answers', async () => {
    expect(await latencyWith(() => 'substituters = http://127.0.0.1:1\n')).toBeUndefined();
  });
});

test('is asked only for installers that use one', () => {
  const kinds = ['script', 'nixos', 'nix-check', 'nixos-anywhere'] as const;
  expect(kinds.filter((kind) => usesCaches({ kind } as Parameters<typeof usesCaches>[0]))).toEqual(kinds.slice(1));
});
