import { describe, expect, test } from 'vitest';
import { matches, problemOf } from '../../../src/diagnosis/pattern.js';

describe('a user’s pattern', () => {
  test.each([
    ['^v\\d', 'v1.2', true],
    ['^v\\d', 'a v1.2', false],
    ['\\bwheel\\b', 'users wheel', true],
    ['^\\d+ files intact$', '12 files intact', true],
    ['(?<what>sd[a-z])', '/dev/sdb', true],
    ['\\u00e9\\/x', 'é/x', true],
    ['^b', 'a\nb', false],
    ['(?i)ALICE', 'alice', true],
    ['^(a+)+$', `${'a'.repeat(100_000)}!`, false],
  ])('%s in %j', (pattern, text, found) => {
    expect(problemOf(pattern)).toBeUndefined();
    expect(matches({ pattern, text })).toBe(found);
  });

  test.each([
    ['ab(?=c)', '“(?=” at character 3: it looks around'],
    ['(?!x)', '“(?!” at character 1: it looks around'],
    ['a(?<!x)y', '“(?<!” at character 2: it looks around'],
    ['(?<=x)y', '“(?<=” at character 1: it looks around'],
    ['(a)\\1', '“\\1” at character 4: it refers back'],
    ['(?<n>a)\\k<n>', '“\\k<” at character 8: it refers back'],
    ['a{2000}', '“{2000}” at character 2: at most 1000 repeats'],
    ['x(', '“x(” at character 1: missing closing )'],
    ['a**', '“**” at character 2: invalid nested repetition operator'],
  ])('%s is refused, with its place and what to write instead', (pattern, problem) => {
    expect(problemOf(pattern)).toContain(problem);
  });
});
