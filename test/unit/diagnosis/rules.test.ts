import { describe, expect, test } from 'vitest';
import { FAILURE_CLASSES } from '../../../src/domain/diagnosis.js';
import { RULES } from '../../../src/diagnosis/rules/index.js';
import { isSuspicious } from '../../../src/diagnosis/prefilter.js';
import { HARMLESS, MESSAGES } from './messages.js';
import { bestOf, diagnosesOf } from './reading.js';

const rows = Object.entries(MESSAGES).flatMap(([name, messages]) =>
  messages.map((message) => [name, message] as const),
);

describe('the rules', () => {
  test.each(rows)('%s: %s', (name, message) => {
    expect(bestOf(message)).toBe(name);
  });

  test.each(HARMLESS.map((text) => [text]))('harmless: %s', (text) => {
    expect(diagnosesOf(text)).toEqual([]);
  });

  test('all harmless lines together are harmless', () => {
    expect(diagnosesOf(HARMLESS.slice(0, -1).join('\n'))).toEqual([]);
  });

  test('have unique names that begin with their class', () => {
    expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
    expect(RULES.filter((rule) => !rule.id.startsWith(`${rule.class}/`))).toEqual([]);
  });

  test('are there for every class but unknown', () => {
    const missing = FAILURE_CLASSES.filter((name) => name !== 'unknown' && !RULES.some((rule) => rule.class === name));
    expect(missing).toEqual([]);
  });

  test.each(RULES.map((rule) => [rule.id, rule] as const))(
    '%s matches an example, which is worth a look',
    (_id, rule) => {
      const matching = rows
        .flatMap(([, message]) => message.split('\n'))
        .filter((line) => rule.pattern.test(line) || rule.pattern.test(line.trim()));
      expect(matching).not.toEqual([]);
      // A hint's example is any line that speaks of its subject.
      const dull = rule.hint === true ? [] : matching.filter((line) => !isSuspicious(line));
      expect(dull).toEqual([]);
    },
  );

  test.each(RULES.map((rule) => [rule.id, rule] as const))(
    '%s is no state machine, and quick on hostile lines',
    (_id, rule) => {
      expect(rule.pattern.flags).not.toMatch(/[gy]/);
      const hostile = [
        'a '.repeat(1000),
        "'".repeat(2000),
        'error: '.repeat(280),
        '/dev/'.repeat(400),
        'failed to '.repeat(200),
      ];
      const before = process.cpuUsage();
      for (const line of hostile) rule.pattern.test(line);
      // Linear patterns take a millisecond or two; what backtracks takes minutes. Processor time, so that a busy machine is no matter.
      expect(process.cpuUsage(before).user / 1000).toBeLessThan(1000);
    },
  );
});
