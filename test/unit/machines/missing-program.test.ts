import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { requirePrograms } from '../../../src/machines/missing-program.js';

test.each([
  ['dash', 'sh: 1: tar: not found\n', 'tar'],
  ['bash', 'bash: line 1: tar: command not found\n', 'tar'],
  ['bash, of a path', 'bash: line 1: /usr/bin/tar: No such file or directory\n', '/usr/bin/tar'],
  ['busybox', 'sh: sha256sum: not found\n', 'sha256sum'],
  ['zsh', 'zsh:1: command not found: tar\n', 'tar'],
  ['setsid of util-linux', 'setsid: failed to execute sh: No such file or directory\n', 'sh'],
  ['the SSH server of a sandbox', 'spawn /bin/sh ENOENT\n', '/bin/sh'],
])('the program that %s does not find is named', (_, stderr, tool) => {
  expect(() => requirePrograms({ exitCode: 127, stderr })).toThrowError(
    expect.objectContaining({
      code: 'MACHINE_TOOL_MISSING',
      message: `${tool} is not installed in the machine`,
      details: { tool },
    }) as Error,
  );
});

test.each([
  [0, ''],
  [2, 'tar: x: not found\n'],
  [127, 'the installer has its own 127\n'],
])('nothing is missing where a command ends with %s and %j', (exitCode, stderr) => {
  expect(() => requirePrograms({ exitCode, stderr })).not.toThrow();
});

test('the shell of this host speaks as one of them', () => {
  const { status, stderr } = spawnSync('/bin/sh', ['-c', 'no-such-tool'], { encoding: 'utf8' });
  expect(() => requirePrograms({ exitCode: status ?? 0, stderr })).toThrow('no-such-tool is not installed');
});
