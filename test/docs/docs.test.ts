import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { configJsonSchema } from '../../src/config/json-schema.js';
import { loadConfig } from '../../src/config/load.js';
import { resolveProfiles } from '../../src/config/resolve.js';
import { layoutOf } from '../../src/host/paths.js';
import { runCommand, terminate } from '../../src/host/process.js';
import { findStack } from '../../src/stack/membership/join.js';
import { allOptions, falseMentions, PROGRAM, readHelp, type Help } from './command-line.js';
import { pages, readPage, ROOT, type Block, type Page } from './pages.js';

const PAGES = pages();
const blocksOf = (page: Page, language: string) => page.blocks.filter((block) => block.language === language);
const named = (page: Page) => [page.name, page] as const;

async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-docs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

async function sourceTexts(...folders: readonly string[]): Promise<string> {
  const texts = folders.map(async (folder) => {
    const entries = await readdir(path.join(ROOT, folder), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return Promise.all(files.map((entry) => readFile(path.join(entry.parentPath, entry.name), 'utf8')));
  });
  return (await Promise.all(texts)).flat().join('\n');
}

describe('configurations', () => {
  const page = readPage('docs/configuration.md');
  const examples = [page, readPage('docs/drivers.md'), readPage('docs/installers.md')].flatMap((from) =>
    blocksOf(from, 'yaml').map((block) => [from.name, block.line, block] as const),
  );

  test.each(examples)('the example of %s at line %i is valid', async (_name, _line, { text }) => {
    const folder = await scratchFolder();
    const file = path.join(folder, 'nixproof.yaml');
    await writeFile(file, text);
    const loaded = await loadConfig(file);
    for (const { checks } of Object.values(loaded.config.profiles)) {
      for (const { key } of checks) if (key !== undefined) await emptyFile(path.join(folder, key));
    }
    for (const { key } of Object.values(loaded.config.machines)) await emptyFile(path.join(folder, key));
    const profiles = await resolveProfiles(loaded, [], { env: {} });
    expect(profiles.map(({ name }) => name)).toEqual(Object.keys(loaded.config.profiles));
  });

  test('every key is on the configuration page', () => {
    const told = [...page.spans, ...page.blocks.map(({ text }) => text)].join('\n');
    // `$schema` among them: its sign is escaped.
    const says = (key: string) => new RegExp(`(?<![\\w-])${key.replace('$', '\\$')}(?![\\w-])`).test(told);
    const untold = [...keysOf(configJsonSchema())].filter((key) => !says(key));
    expect(untold).toEqual([]);
  });
});

async function emptyFile(file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, '');
}

/** Every property name of a JSON Schema. */
function keysOf(schema: unknown): ReadonlySet<string> {
  if (typeof schema !== 'object' || schema === null) return new Set();
  const properties = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return new Set([...properties, ...Object.values(schema).flatMap((value) => [...keysOf(value)])]);
}

describe('the command line', () => {
  let help: Help;
  beforeAll(async () => {
    help = readHelp();
  });

  test.each(PAGES.map(named))('%s names only commands and options that exist', (_name, { spans, blocks }) => {
    const texts = [...spans, ...blocks.flatMap(({ text }) => text.split('\n'))];
    const known = allOptions(help);
    const bare = spans
      .filter((span) => span.startsWith('--'))
      .map((span) => /^--[a-z-]+/.exec(span)?.[0] ?? '')
      .filter((option) => !known.has(option));
    expect([...texts.flatMap((text) => falseMentions(text, help)), ...bare]).toEqual([]);
  });

  test.each([
    ['nixproof frobnicate RUN', 'nixproof frobnicate RUN: frobnicate'],
    ['nixproof test vm --frob && true', 'nixproof test vm --frob : --frob'],
    ['nixproof vm frob', 'nixproof vm frob: frob'],
    ['nixproof vm list --json', undefined],
    ['nixproof vm ssh RUN -- ls --all', undefined],
  ])('of %j is noticed: %s', (text, found) => {
    expect(falseMentions(text, help)).toEqual(found === undefined ? [] : [found]);
  });

  test('docs/cli.md names every command and option', () => {
    const told = readPage('docs/cli.md');
    const text = [...told.spans, ...told.anchors.map((anchor) => anchor.replaceAll('-', ' '))].join('\n');
    const commands = [...help.commands].flatMap(([name, { commands: below }]) => [
      `nixproof ${name}`,
      ...[...below.keys()].map((sub) => `nixproof ${name} ${sub}`),
    ]);
    const options = [...allOptions(help)].filter((option) => option !== '--version');
    expect([...commands, ...options].filter((word) => !text.includes(word))).toEqual([]);
  });
});

describe('the examples', () => {
  const runnable = PAGES.filter((page) => page.blocks.some(({ run }) => run));

  test('there are some to run', () => expect(runnable.map(({ name }) => name)).toContain('docs/installers.md'));

  test.each(runnable.map(named))('those of %s run', { timeout: 300_000 }, async (_name, page) => {
    const folder = await scratchFolder();
    const home = path.join(folder, 'home');
    onTestFinished(async () => {
      const stack = await findStack(layoutOf(home));
      if (stack) await terminate(stack.holder, 20_000);
    });
    await mkdir(path.join(folder, 'bin'));
    await symlink(PROGRAM, path.join(folder, 'bin', 'nixproof'));
    await mkdir(path.join(folder, 'work'));
    for (const block of page.blocks.filter(({ run }) => run)) await runBlock(block, folder, home);
  });

  test.each(PAGES.map(named))('the JSON of %s is JSON', (_name, page) => {
    for (const { text } of blocksOf(page, 'json')) expect(() => JSON.parse(text) as unknown).not.toThrow();
  });
});

/** In a shell that stops at the first failure, with no server elsewhere. */
async function runBlock({ text }: Block, folder: string, home: string): Promise<void> {
  await runCommand('sh', ['-eu', '-c', text], {
    cwd: path.join(folder, 'work'),
    timeoutMs: 240_000,
    env: {
      PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      NIXPROOF_HOME: home,
      TEMPORAL_ADDRESS: '',
      NO_COLOR: '1',
    },
  });
}

describe('what the pages speak of', () => {
  test.each(PAGES.map(named))('the links of %s lead somewhere', (_name, page) => {
    const broken = page.links
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? page.name : path.join(path.dirname(page.name), file);
        if (!existsSync(path.join(ROOT, target))) return true;
        return anchor !== undefined && !readPage(target).anchors.includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  test('docs/troubleshooting.md has every error code of the sources, and no other', async () => {
    const sources = await sourceTexts('src');
    const text = await readFile(path.join(ROOT, 'docs/troubleshooting.md'), 'utf8');
    const FAMILIES = 'CONFIG|UNSUPPORTED|HOST|MACHINE|TRANSPORT|SERVER|REQUEST|INTERNAL';
    const found = (from: string, pattern: string) =>
      [...new Set([...from.matchAll(new RegExp(pattern, 'gm'))].map(([, code = '']) => code))].sort();
    expect(found(text, `^\\| \`((?:${FAMILIES})_[A-Z_]+)\` *\\|`)).toEqual(
      found(sources, `'((?:${FAMILIES})_[A-Z_]+)'`),
    );
  });

  test('variables of ours exist', async () => {
    const sources = await sourceTexts('src', 'assets', 'test/contract', 'test/e2e', 'test/unit');
    const files = ['docker-compose.yml', 'vitest.config.ts'].map((name) => readFile(path.join(ROOT, name), 'utf8'));
    const others = (await Promise.all(files)).join('\n');
    const told = PAGES.flatMap(({ spans, blocks }) => [...spans, ...blocks.map(({ text }) => text)]).join('\n');
    const names = new Set(told.match(/NIXPROOF_[A-Z_]*[A-Z]/g));
    expect([...names].filter((name) => !`${sources}${others}`.includes(name))).toEqual([]);
  });
});
