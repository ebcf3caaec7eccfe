import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { NixproofError, isRetryable } from '../../../src/domain/error.js';
import { codedErrorOf } from '../../../src/host/errno.js';
import { runCommand } from '../../../src/host/process.js';

const errno = (code: string) => Object.assign(new Error(`${code}: refused, open '/x'`), { code });

test.each([
  ['ENOSPC', 'HOST_DISK_FULL', "this host's disk is full", /nixproof cleanup/],
  ['EDQUOT', 'HOST_DISK_FULL', "this host's disk is full", /nixproof cleanup/],
  ['EACCES', 'HOST_PERMISSION', 'this user may not do that', /^give the user who runs nixproof access to it/],
  ['EPERM', 'HOST_PERMISSION', 'this user may not do that', /^give the user who runs nixproof access to it/],
  ['EROFS', 'HOST_READ_ONLY', 'the file system is read-only', /^set NIXPROOF_HOME and XDG_CACHE_HOME/],
  ['EMFILE', 'HOST_OPEN_FILES', 'too many files are open', /ulimit -n 65536/],
  ['ENFILE', 'HOST_OPEN_FILES', 'too many files are open', /ulimit -n 65536/],
])('%s is the fault %s, with what to do', (code, fault, what, hint) => {
  expect(codedErrorOf(errno(code))).toMatchObject({
    code: fault,
    message: `${what}: ${code}: refused, open '/x'`,
    hint: expect.stringMatching(hint) as string,
  });
});

test('any other error is none of the host’s', () => {
  expect(codedErrorOf(errno('ECONNRESET'))).toMatchObject({ code: 'INTERNAL_UNEXPECTED', hint: undefined });
  expect(codedErrorOf('thrown text')).toMatchObject({ code: 'INTERNAL_UNEXPECTED', message: 'thrown text' });
  const known = new NixproofError('CONFIG_FLAG', 'no');
  expect(codedErrorOf(known)).toBe(known);
});

test('only what passes when other runs end is tried again', () => {
  expect(['HOST_OPEN_FILES', 'HOST_PERMISSION', 'HOST_READ_ONLY', 'HOST_DISK_FULL'].map(isRetryable)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'nixproof-errno-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

test('a program that this user may not start is named, with what to do', async () => {
  const tool = path.join(await folder(), 'tool');
  await writeFile(tool, '#!/bin/sh\n');
  await chmod(tool, 0o644);
  await expect(runCommand(tool, [])).rejects.toMatchObject({
    code: 'HOST_PERMISSION',
    message: expect.stringContaining(tool) as string,
  });
});

test('a process without a free file descriptor says so', async () => {
  const file = fileURLToPath(new URL('../../fixtures/programs/file-hoarder.mjs', import.meta.url));
  const said = await runCommand('sh', ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, file]);
  expect(said).toMatch(/^HOST_OPEN_FILES: raise the limit.*\nHOST_OPEN_FILES: raise the limit/);
});
