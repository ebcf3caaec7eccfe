import { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test, vi } from 'vitest';
import { processesWithEnvironment, runCommand, signalIfThere, waitUntil } from '../../../src/host/process.js';

test('a command ends when it does, with all its output, though a child of it still holds that open', async () => {
  const mark = `left-${process.pid}`;
  const children = () => processesWithEnvironment('NIXPROOF_TEST_CHILD', mark);
  onTestFinished(async () => (await children()).forEach(({ pid }) => signalIfThere(pid, 'SIGKILL')));
  const lines: string[] = [];
  const run = (end: string) =>
    runCommand('sh', ['-c', `seq 20000; echo told >&2; sleep 3000 & ${end}`], {
      env: { NIXPROOF_TEST_CHILD: mark },
      onLine: (line) => lines.push(line),
      group: true,
    });
  expect(await run('exit 0')).toMatch(/^1\n2\n[^]*\n20000$/);
  await expect(run('exit 3')).rejects.toMatchObject({ details: { exitCode: 3 }, message: 'sh failed: told' });
  expect(lines).toEqual(['told', 'told']);
  expect(await children()).toHaveLength(2);
});

test('the time limit of a group ends its children too', async () => {
  const mark = randomUUID();
  const running = runCommand('sh', ['-c', 'sleep 3000 & wait'], {
    env: { NIXPROOF_TEST_CHILD: mark },
    timeoutMs: 300,
    group: true,
  });
  await expect(running).rejects.toMatchObject({ details: { exitCode: -1 } });
  const children = () => processesWithEnvironment('NIXPROOF_TEST_CHILD', mark);
  expect(await waitUntil(async () => (await children()).length === 0, 20_000)).toBe(true);
});

test('a command that could not be started is never signalled: Node would signal another process', async () => {
  const signalled: (number | undefined)[] = [];
  const kill = vi.spyOn(ChildProcess.prototype, 'kill').mockImplementation(function (this: ChildProcess) {
    signalled.push(this.pid);
    return true;
  });
  onTestFinished(() => kill.mockRestore());
  const stop = new AbortController();
  const missing = () => runCommand('no-such-program', [], { signal: stop.signal });
  const [first, reason] = [missing(), new Error('stopped')];
  // Aborted at any moment while it is started.
  const steps = Array.from({ length: 50 }, async (_, turns) => {
    const one = new AbortController();
    const running = runCommand('no-such-program', [], { signal: one.signal });
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    one.abort(reason);
    await expect(running).rejects.toBe(reason);
  });
  stop.abort(reason);
  await expect(first).rejects.toBe(reason);
  await expect(missing()).rejects.toBe(reason);
  await Promise.all(steps);
  expect(signalled.filter((pid) => pid === undefined)).toEqual([]);
});

test('a command ends when its signal is aborted', async () => {
  const stop = new AbortController();
  const reason = new Error('stopped');
  const running = runCommand('sh', ['-c', 'echo started >&2; exec sleep 3000'], {
    signal: stop.signal,
    onLine: () => stop.abort(reason),
  });
  await expect(running).rejects.toBe(reason);
});
