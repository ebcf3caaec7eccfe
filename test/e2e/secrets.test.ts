import { readFile, readdir, writeFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectClient } from '../../src/client.js';
import { sealingKey } from '../../src/temporal/key.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { findStack } from '../../src/stack/membership/join.js';
import { DEADLINE_MS, openBench, parsed, reached, type Bench, type Ended, type Running } from './bench.js';

/** Ten secrets, each of another kind of characters and from another place. */
const SECRETS: readonly (readonly [name: string, value: string, from: 'env' | 'file' | 'command'])[] = [
  ['plain', 'Kx7pQ2mZ9w', 'file'],
  ['spaced', 'correct horse battery', 'file'],
  ['quoted', `it's "so" said\\n`, 'file'],
  ['address', 'https://u:pw7Gk@host/?a=1&b=%2F', 'file'],
  ['letters', 'Grüße-aus-Köln', 'file'],
  ['token', 'ghp_2bC4dE6fG8hJ0kL2mN4pQ6rS8tU0vW', 'command'],
  ['long', Array.from({ length: 40 }, (_, n) => `k${n * 7919}x`).join(''), 'command'],
  ['key', '-----BEGIN KEY-----\nAAAAB3NqPlantedHere42\nQ0FGRUJBQkU=\n-----END KEY-----', 'command'],
  ['variable', 'zQ8!vN5#tR2', 'env'],
  ['digits', '84629517', 'env'],
];
const valuesFrom = (...places: readonly string[]) =>
  SECRETS.filter(([, , from]) => places.includes(from)).map(([, value]) => value);

/**
 * What of a value may be nowhere: itself, its lines, and the parts of its encodings that no
 * neighbour changes.
 */
function telling(value: string): readonly Buffer[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .slice(4, -4);
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const lines = value.split('\n').filter((line) => line.length >= 8);
  const forms = [value, ...lines, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), ...base64];
  return [...new Set(forms)].filter((form) => form.length >= 6).map((form) => Buffer.from(form));
}
const ALL = SECRETS.flatMap(([name, value]) => telling(value).map((bytes) => ({ name, bytes })));

function found(bytes: Buffer): readonly string[] {
  return ALL.filter((one) => bytes.includes(one.bytes)).map(({ name, bytes: form }) => `${name}: ${form.toString()}`);
}

/**
 * Prints every secret of its environment in every way, as an installer with `set -x` and curl -v
 * would.
 */
const PRINTER = `#!/usr/bin/env -S python3 -u
import base64, json, os, sys, time, urllib.parse
def say(data):
    sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
for name, value in sorted(os.environ.items()):
    if not name.startswith('SECRET_'): continue
    raw = value.encode()
    say(b'::PHASE::' + name.encode() + b'\\n')
    say(b'plain: ' + raw + b'\\n')
    say(b'split: ')
    for at in range(0, len(raw), max(1, len(raw) // 3)):
        say(raw[at:at + max(1, len(raw) // 3)])
        time.sleep(0.15)
    say(b'\\n')
    for prefix in (b'', b'u', b'u:'):
        say(b'base64: ' + base64.b64encode(prefix + raw) + b'\\n')
        say(b'lines: ' + base64.encodebytes(prefix + raw + b'-end'))
        say(b'url-safe: ' + base64.urlsafe_b64encode(prefix + raw) + b'\\n')
    say(b'url: ' + urllib.parse.quote(value, safe='').encode() + b' ' + urllib.parse.quote_plus(value).encode() + b'\\n')
    say(b'json: ' + json.dumps(value).encode() + b'\\n')
    say(b'::ERROR::cannot log in with ' + raw + b'\\n')
    say(b'::CONTEXT::' + raw + b'\\n')
    say(b'\\x1b[31merror\\x1b[0m: Could not resolve host ' + raw + b'\\n')
`;
const variables = SECRETS.map(([name]) => `SECRET_${name}: { secret: ${name} }`).join(', ');

let bench: Bench;
let ended: Ended;
let reports: string;
/** The local stack, whose worker has what comes from the environment. */
let stack: Running;
const run = (profile: string) => parsed<SuiteReport>(ended).runs.find((one) => one.profile === profile) as RunReport;
/** What was seen of other processes while it ran. */
const seen: string[] = [];

beforeAll(async () => {
  bench = await openBench('local stack');
  const env = Object.fromEntries(
    SECRETS.flatMap(([name, value, from]) => (from === 'env' ? [[`PLANTED_${name}`, value]] : [])),
  );
  const folder = await bench.folder({
    'nixproof.yaml': `secrets:
${SECRETS.map(([name, , from]) => {
  if (from === 'env') return `  ${name}: { env: PLANTED_${name} }`;
  return from === 'file'
    ? `  ${name}: { file: ../outside/${name} }`
    : `  ${name}: { command: [cat, ../outside/${name}] }`;
}).join('\n')}
profiles:
  leaky:
    driver: sandbox
    install: { kind: script, run: './print; exit 3', env: { ${variables} } }
  checked:
    driver: sandbox
    install: { kind: script, run: './print >/dev/null', env: { ${variables} } }
    files:
${SECRETS.map(([name]) => `      - { secret: ${name}, to: /root/${name}, mode: '0400' }`).join('\n')}
    checks:
      - { name: judged, run: 'cat "$NIXPROOF_ROOT/root/plain"', match: '^[^*]+$' }
      - { name: modes, run: 'cd "$NIXPROOF_ROOT/root"; stat -c %a plain key', match: '^400\\s400$' }
${SECRETS.map(([name]) => `      - { name: ${name}, run: 'cat "$NIXPROOF_ROOT/root/${name}"; cat "$NIXPROOF_ROOT/root/${name}" >&2; exit 1' }`).join('\n')}
healing: { policy: never }
`,
    print: PRINTER,
  });
  await mkdir(path.join(folder, '../outside'));
  // As editors do it, with a newline at its end.
  for (const [name, value, from] of SECRETS)
    if (from !== 'env') await writeFile(path.join(folder, '../outside', name), `${value}\n`);
  reports = path.join(folder, '../reports');
  stack = bench.withEnv(env).start(folder, 'up');
  await reached('a stack', async () => (await findStack(bench.layout)) !== undefined);
  const running = bench.start(folder, 'test', '--json', '--report-dir', reports);
  let over = false;
  const watching = (async () => {
    while (!over) {
      await lookAtProcesses();
      await delay(50);
    }
  })();
  ended = await running.ended;
  over = true;
  await watching;
}, 3 * DEADLINE_MS);
afterAll(async () => {
  stack.kill('SIGINT');
  await bench[Symbol.asyncDispose]();
}, DEADLINE_MS);

/**
 * No command line has a secret; no environment but the installer's, and, of a secret that comes
 * from there, the stack's.
 */
async function lookAtProcesses(): Promise<void> {
  const inherited = new Set(valuesFrom('env').flatMap((value) => telling(value).map(String)));
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`).catch(() => Buffer.alloc(0));
    const [line, environment] = await Promise.all([read('cmdline'), read('environ')]);
    seen.push(...found(line).map((what) => `${what} in the arguments of ${line.toString()}`));
    if (environment.includes('NIXPROOF_ROOT=')) continue;
    const others = found(environment).filter((what) => !inherited.has(what.replace(/^\w+: /, '')));
    seen.push(...others.map((what) => `${what} in the environment of ${line.toString()}`));
  }
}

test('the installer had them: it failed as it was told to, and its whole log is here', () => {
  expect(run('leaky')).toMatchObject({ verdict: 'failed', log: { verified: true } });
  expect(run('leaky').phases.map(({ name }) => name)).toEqual([...SECRETS].map(([name]) => `SECRET_${name}`).sort());
  expect(run('leaky').failures[0]?.line).toContain('*****');
});

test('the installed system has them, readable for root alone', () => {
  const { checks } = run('checked');
  expect(checks.find(({ name }) => name === 'modes')).toMatchObject({ status: 'pass' });
  // A check sees the value; what it shows has none.
  const judged = checks.find(({ name }) => name === 'judged');
  expect(judged).toMatchObject({ status: 'pass', detail: expect.stringMatching(/^\*+$/) as string });
  for (const [name] of SECRETS) {
    expect(checks.find((check) => check.name === name)?.detail).toMatch(/exit status 1: .*\*{6}/);
  }
});

test('no process had one among its arguments or in its environment', () => {
  expect([...new Set(seen)]).toEqual([]);
});

test('no file has one: artifacts, reports, the database of the server with its log, the logs of the stack', async () => {
  const leaks: string[] = [];
  let files = 0;
  for (const folder of [bench.layout.home, reports]) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      files += 1;
      const file = path.join(entry.parentPath, entry.name);
      leaks.push(...found(await readFile(file).catch(() => Buffer.alloc(0))).map((what) => `${what} in ${file}`));
    }
  }
  expect(files).toBeGreaterThan(20);
  expect(leaks).toEqual([]);
  expect(found(Buffer.from(ended.stdout + ended.stderr))).toEqual([]);
});

test(
  'no history has one, sealed or not',
  async () => {
    const address = (await findStack(bench.layout))?.address ?? '';
    await using link = await connectClient({ address, namespace: 'default' }, await sealingKey(bench.layout));
    const codecs = link.client.options.loadedDataConverter.payloadCodecs;
    const { suite } = parsed<SuiteReport>(ended);
    for (const id of [suite, run('leaky').run, run('checked').run]) {
      const history = await link.client.workflow.getHandle(id).fetchHistory();
      const payloads = payloadsIn(history);
      expect(payloads.length).toBeGreaterThan(5);
      for (const payload of payloads) {
        let opened: Payload[] = [payload];
        for (const codec of codecs) opened = await codec.decode(opened);
        for (const { data } of opened) expect(found(Buffer.from(data ?? []))).toEqual([]);
      }
      expect(found(Buffer.from(JSON.stringify(history)))).toEqual([]);
    }
  },
  DEADLINE_MS,
);

/** What has bytes in a history, however deep. */
function payloadsIn(value: unknown): readonly { readonly data: Uint8Array }[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const { data } = value as { readonly data?: unknown };
  if (data instanceof Uint8Array) return [value as { readonly data: Uint8Array }];
  return Object.values(value).flatMap(payloadsIn);
}
