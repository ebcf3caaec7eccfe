// Records the histories that test/replay replays: real runs of test/fixtures/histories on a server of their own. Run it after a
// change of workflow code that is meant to be incompatible; otherwise the old histories must go on replaying.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { getTemporalServer } from '../dist/stack/server/temporal-server.js';
import { connectClient } from '../dist/client.js';
import { waitUntil } from '../dist/host/process.js';
import { layoutOf } from '../dist/host/paths.js';
import { open, seal } from '../dist/temporal/codec.js';
import { sealingKey } from '../dist/temporal/key.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const packages = realpathSync(path.join(root, 'node_modules'));
const main = path.join(root, 'dist/cli/main.js');
const config = path.join(root, 'test/fixtures/histories/nixproof.yaml');
const home = mkdtempSync(path.join(tmpdir(), 'nixproof-histories-'));
const port = 17300 + Math.floor(process.pid % 500);
const work = { signal: new AbortController().signal, progress: (message) => console.error(message) };
const keyFile = path.join(root, 'test/fixtures/histories/sealing.key');
// A checkout makes it readable for all.
chmodSync(keyFile, 0o600);
const key = await sealingKey(layoutOf(home), { NIXPROOF_KEY_FILE: keyFile });
const { file: server } = await getTemporalServer({ work });
const env = { ...process.env, NIXPROOF_HOME: home, NIXPROOF_KEY_FILE: keyFile, TEMPORAL_ADDRESS: `127.0.0.1:${port}` };
const children = [spawn(server, ['server', 'start-dev', '--headless', '--port', String(port), '--log-level', 'error'])];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

const { Connection } = await import('@temporalio/client');
await waitUntil(
  async () =>
    Connection.connect({ address: env.TEMPORAL_ADDRESS, connectTimeout: 500 }).then(
      (c) => c.close().then(() => true),
      () => false,
    ),
  30_000,
);
const worker = (itsHome = home) => {
  const child = spawn(process.execPath, [main, 'worker'], {
    env: { ...env, NIXPROOF_HOME: itsHome },
    stdio: 'inherit',
  });
  children.push(child);
  return child;
};
let first = worker();
/** A second host's home. */
const other = mkdtempSync(path.join(tmpdir(), 'nixproof-histories-'));
const hostIdOf = (itsHome) => readFileSync(path.join(itsHome, 'host-id'), 'utf8').trim();

const np = (...args) => {
  try {
    return execFileSync(process.execPath, [main, ...args], {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  } catch (error) {
    return error.stdout;
  }
};
const link = await connectClient({ address: env.TEMPORAL_ADDRESS }, key);
mkdirSync(path.join(root, 'test/histories'), { recursive: true });

/** Names of the machine it was recorded on have no place in the repository: not in the JSON, nor in the payloads' base64. */
function anonymous(text) {
  return (
    text
      .replaceAll(new RegExp(`${path.join(tmpdir(), 'nixproof-histories-')}\\w+`, 'g'), '/home/tester/state')
      .replaceAll(root, '/home/tester/nixproof')
      // Packages may be linked from elsewhere: stack traces name where they are.
      .replaceAll(packages, '/home/tester/nixproof/node_modules')
      .replaceAll(hostIdOf(home), 'host-000000')
      .replaceAll(new RegExp(`\\b${hostname()}\\b`, 'g'), 'host')
  );
}

function isPayload(value) {
  return typeof value?.data === 'string' && typeof value.metadata?.encoding === 'string';
}

/**
 * Everything that a payload of this history may be sealed for: the workflow, its steps, and the
 * workflows it started.
 */
function placesIn(workflowId, { events }) {
  const children = events.flatMap(
    (event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId ?? [],
  );
  const steps = events.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityId ?? []);
  const namespace = 'default';
  return [
    ...[workflowId, ...children].map((id) => ({ type: 'workflow', namespace, workflowId: id })),
    ...steps.map((activityId) => ({ type: 'activity', namespace, workflowId, activityId, isLocal: false })),
  ];
}

const bytes = (fields) =>
  Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, Buffer.from(text, 'base64')]));
const base64 = (fields) =>
  Object.fromEntries(Object.entries(fields).map(([name, data]) => [name, Buffer.from(data).toString('base64')]));
const recoded = (data) => Buffer.from(anonymous(Buffer.from(data).toString('utf8')));

/** A payload without those names, sealed again for its place without them. */
function cleaned({ metadata, data }, places) {
  const payload = { metadata: bytes(metadata), data: Buffer.from(data, 'base64') };
  for (const place of places) {
    const opened = open(key, payload, place);
    if (!opened) continue;
    const itsOwn = { ...place, workflowId: anonymous(place.workflowId) };
    const sealed = seal(key, { ...opened, data: recoded(opened.data) }, itsOwn);
    return { metadata: base64(sealed.metadata), data: sealed.data.toString('base64') };
  }
  // What the UI shows is not sealed.
  return { metadata, data: recoded(payload.data).toString('base64') };
}

function withoutNames(value, places) {
  if (typeof value === 'string') return anonymous(value);
  if (isPayload(value)) return cleaned(value, places);
  if (Array.isArray(value)) return value.map((one) => withoutNames(one, places));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutNames(one, places)]));
}

async function record(name, workflowId) {
  const target = path.join(root, 'test/histories', `${name}.json`);
  const json = execFileSync(
    server,
    ['workflow', 'show', '--address', env.TEMPORAL_ADDRESS, '-w', workflowId, '--output', 'json'],
    { encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  const places = placesIn(workflowId, JSON.parse(json));
  const history = withoutNames(JSON.parse(json), places);
  writeFileSync(target, `${JSON.stringify({ workflowId: anonymous(workflowId), history }, null, 1)}\n`);
  console.error(`recorded ${name}`);
}

const statusOf = (run) => JSON.parse(np('status', run, '--json'));

/** Answers every heal that a run waits with, until it has ended. */
async function decideAll(run, answer) {
  const ended = async () => {
    const { verdict, pending } = statusOf(run);
    if (pending) np(answer, run, pending.name);
    return verdict !== null;
  };
  if (!(await waitUntil(ended, 60_000))) throw new Error(`${run} never ended`);
}

for (const profile of ['passed', 'failed', 'stalled', 'red-check', 'healed', 'no-heal-left']) {
  const { suite, runs } = JSON.parse(np('test', profile, '--config', config, '--json'));
  await record(`run-${profile}`, runs[0].run);
  if (profile === 'passed') await record('suite-passed', suite);
}
for (const [name, answer] of [
  ['ask-approved', 'approve'],
  ['ask-rejected', 'reject'],
]) {
  const { runs } = JSON.parse(np('test', 'healed', '--heal', 'ask', '--config', config, '--detach', '--json'));
  await decideAll(runs[0].run, answer);
  await record(`run-${name}`, runs[0].run);
}
const ended = async (run) => {
  if (!(await waitUntil(async () => statusOf(run).verdict !== null, 180_000))) throw new Error(`${run} never ended`);
};
const comesTo = async (run, state) => {
  if (!(await waitUntil(async () => statusOf(run).state?.startsWith(state), 60_000)))
    throw new Error(`${run} was never ${state}`);
};

/** A run that installs, and its suite. */
async function installing(profile = 'two-steps') {
  const { suite, runs } = JSON.parse(np('test', profile, '--config', config, '--detach', '--json'));
  await comesTo(runs[0].run, 'installing');
  return { suite, run: runs[0].run };
}

{
  const { run } = await installing();
  np('pause', run);
  await comesTo(run, 'paused');
  np('resume', run);
  await ended(run);
  await record('run-paused', run);
}
{
  const { suite, run } = await installing('slow');
  np('cancel', suite);
  await record('run-cancelled', run);
  await record('suite-cancelled', suite);
}

{
  const from = path.dirname(config);
  np(
    'schedule',
    'create',
    'broken',
    '--cron',
    '@yearly',
    '--from',
    from,
    '--profiles',
    'failed',
    '--notify-command',
    'true',
  );
  const firing = np('schedule', 'trigger', 'broken').split(' ')[0];
  await link.client.workflow.getHandle(firing).result();
  await record('scheduled-broken', firing);
}

{
  const { run } = await installing();
  first.kill('SIGKILL');
  first = worker();
  await ended(run);
  await record('run-worker-killed', run);
}
{
  const { run } = await installing();
  first.kill('SIGKILL');
  worker(other);
  await ended(run);
  await record('run-host-lost', run);
  first = worker();
  const left = `${run}-left-on-${hostIdOf(home)}`;
  await link.client.workflow.getHandle(left).result();
  await record('left-behind', left);
}
// From here on the other host only decides.
np('hosts', 'drain', hostIdOf(other));
{
  const { run } = await installing();
  first.kill('SIGKILL');
  np('hosts', 'forget', hostIdOf(home));
  await ended(run);
  await record('run-host-forgotten', run);
  first = worker();
}
{
  const { run } = await installing();
  first.kill('SIGKILL');
  const handle = link.client.workflow.getHandle(run);
  await handle.cancel();
  await handle.signal('force');
  await handle.result();
  await record('run-forced', run);
}
rmSync(other, { recursive: true, force: true });

await link[Symbol.asyncDispose]();
for (const child of children) child.kill('SIGTERM');
rmSync(home, { recursive: true, force: true });
process.exit();
