import { expect, onTestFinished, test } from 'vitest';
import { processesWithEnvironment, runCommand, signalIfThere } from '../../../src/host/process.js';

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
