import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { bounded } from '../../../src/diagnosis/bounded.js';
import { RULES } from '../../../src/diagnosis/rules/index.js';
import { ROOT } from '../../docs/pages.js';
import { worstTexts } from './pattern-pieces.js';

const LINE_CHARS = 2000;
/**
 * Milliseconds of processor for a line of that length, on a machine that takes `CALIBRATED_MS` for
 * the calibration.
 */
const MOST_MS = 1;
/**
 * What a pattern without repeats takes for 2 MB of text on the slower of the machines this was
 * measured on.
 */
const CALIBRATED_MS = 4;
const TRIES = 5;

/** Where patterns meet what a guest says; what a configuration or this host says is no attack. */
const FOLDERS = [
  'activities',
  'checks',
  'cli',
  'domain',
  'healing',
  'installers',
  'machines',
  'records',
  'reports',
  'stream',
];
/** The rules are taken as they are used, and what bounds them reads rules. */
const OTHERWISE = /healing\/(?:rules\/|bounded\.ts$)/;

function* literals(): Iterable<readonly [place: string, pattern: RegExp]> {
  for (const entry of readdirSync(path.join(ROOT, 'src'), { recursive: true, withFileTypes: true })) {
    const file = path.relative(path.join(ROOT, 'src'), path.join(entry.parentPath, entry.name));
    if (!entry.isFile() || !FOLDERS.includes(file.split(path.sep)[0] ?? '') || OTHERWISE.test(file)) continue;
    const source = ts.createSourceFile(
      file,
      readFileSync(path.join(ROOT, 'src', file), 'utf8'),
      ts.ScriptTarget.Latest,
    );
    const found: RegExp[] = [];
    const visit = (node: ts.Node): void => {
      const [, body, flags] = ts.isRegularExpressionLiteral(node) ? (/^\/(.*)\/(\w*)$/s.exec(node.text) ?? []) : [];
      if (body !== undefined) found.push(new RegExp(body, flags));
      node.forEachChild(visit);
    };
    visit(source);
    for (const [index, pattern] of found.entries()) yield [`${file}, pattern ${index + 1}`, pattern];
  }
}

function* ofRules(): Iterable<readonly [place: string, pattern: RegExp]> {
  for (const rule of RULES)
    for (const [part, value] of Object.entries(rule)) if (value instanceof RegExp) yield [`${rule.id}, ${part}`, value];
}

function look(pattern: RegExp, text: string): void {
  pattern.lastIndex = 0;
  if (pattern.global) text.replace(pattern, '');
  else pattern.test(text);
}

/**
 * The least processor time of some tries, in milliseconds: what else runs here, and a compiler's
 * first look, take more.
 */
function leastMs(step: () => void, good: number): number {
  let least = Infinity;
  for (let tried = 0; tried < TRIES && least > good; tried++) {
    const before = process.cpuUsage();
    step();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

const slowness = () => Math.max(1, leastMs(() => look(/no such text/i, 'no such '.repeat(250_000)), 0) / CALIBRATED_MS);

/** A text that takes a pattern longer than it may. */
function slowOn(pattern: RegExp, chars = LINE_CHARS): string | undefined {
  const most = MOST_MS * machine;
  return [...worstTexts(pattern, chars)].find((text) => leastMs(() => look(pattern, text), most) > most);
}

const machine = slowness();

describe('a pattern that reads a guest’s text', () => {
  test.each([...ofRules()])('%s is quick on a line made of its own pieces', (_place, pattern) => {
    expect(slowOn(pattern)).toBeUndefined();
  });

  test.each([...literals()])('%s is quick on a line made of its own pieces', (_place, pattern) => {
    expect(slowOn(pattern)).toBeUndefined();
  });

  // Long enough to be slow on any machine.
  test.each([
    [/\d+ units/, 2 * LINE_CHARS],
    [/fdt_\w+ fail/, 2 * LINE_CHARS],
    [/[A-Z]\w+Error:/, 2 * LINE_CHARS],
    [/sock\S*.{0,60}fail/, LINE_CHARS],
  ])('the pieces find out that %s is slow', (pattern, chars) => {
    expect(slowOn(pattern, chars)).toBeDefined();
  });
});

describe('a bounded pattern', () => {
  test.each([
    [/a*b+c{2,}d{3}e{1,4}/i, 'a{0,100}b{1,100}c{2,100}d{3}e{1,4}'],
    [/[*+]\*\+\\+(?:x)+?/, String.raw`[*+]\*\+\\{1,100}(?:x){1,100}?`],
    [/(?<name>[^\]\s]*)$/, String.raw`(?<name>[^\]\s]{0,100})$`],
  ])('%s repeats nothing for ever', (pattern, source) => {
    expect(bounded(pattern).source).toBe(source);
    expect(bounded(pattern).flags).toBe(pattern.flags);
  });
});
