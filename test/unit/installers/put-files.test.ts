import { execa } from 'execa';
import { mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { putFilesCommand } from '../../../src/installers/installer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-put-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const CONTENT = 'echo one\necho two – and more\n';
async function put(content: string, input: string, small: Readonly<Record<string, string>> = {}) {
  const [file = '', ...args] = putFilesCommand(
    path.join(folder, 'attempt', 'install.sh'),
    content,
    new Map(Object.entries(small).map(([name, text]) => [path.join(folder, 'bin', name), text])),
  );
  return execa(file, args, { input, reject: false });
}
const read = (...parts: string[]) => readFile(path.join(folder, ...parts), 'utf8');

test('files are written whole and executable, folders made', async () => {
  expect(await put(CONTENT, CONTENT, { tool: '#!/bin/sh\n', 'other tool': "it's" })).toMatchObject({ exitCode: 0 });
  expect(await read('attempt', 'install.sh')).toBe(CONTENT);
  expect(await read('bin', 'other tool')).toBe("it's");
  expect((await stat(path.join(folder, 'bin', 'tool'))).mode & 0o777).toBe(0o755);
});

test.each([0, 10, CONTENT.length - 1])(
  'an input cut short after %i characters replaces nothing and leaves nothing',
  async (length) => {
    await mkdir(path.join(folder, 'attempt'));
    await put('as it was', 'as it was');
    expect(await put(CONTENT, CONTENT.slice(0, length), { tool: 'new' })).toMatchObject({
      exitCode: 1,
      stderr: 'its end is missing',
    });
    expect(await read('attempt', 'install.sh')).toBe('as it was');
    expect(await readdir(path.join(folder, 'attempt'))).toEqual(['install.sh']);
    expect(await readdir(folder)).toEqual(['attempt']);
  },
);
