import { describe, expect, test } from 'vitest';
import { createTemplateMiner } from '../../../src/diagnosis/templates.js';

describe('the template miner', () => {
  test('groups lines that differ in their values only', () => {
    const miner = createTemplateMiner();
    const ids = [
      'copying path /nix/store/a from 10.0.0.1',
      'copying path /nix/store/b from 10.0.0.2',
      'Started unit-12.service in 3.5 s',
    ].map((line) => miner.learn(line).id);
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).not.toBe(ids[0]);
    expect(miner.state().templates.map(({ count }) => count)).toEqual([2, 1]);
  });

  test('says what it has never seen, without learning it', () => {
    const miner = createTemplateMiner();
    miner.learn('reading block 1 of 20');
    expect(miner.find('reading block 7 of 20')?.text).toBe('reading block <*> of <*>');
    expect(miner.find('the frobnicator went away')).toBeUndefined();
    expect(miner.state().templates).toHaveLength(1);
  });

  test('forgets the least recently seen', () => {
    const miner = createTemplateMiner({ maxTemplates: 2 });
    for (const line of ['alpha one here', 'beta two there', 'alpha one here', 'gamma three nowhere']) miner.learn(line);
    expect(miner.find('alpha one here')).toBeDefined();
    expect(miner.find('beta two there')).toBeUndefined();
  });

  test('goes on where another left off', () => {
    const first = createTemplateMiner();
    const learnt = first.learn('user root logged in from 10.0.0.1');
    const second = createTemplateMiner({}, first.state());
    expect(second.learn('user root logged in from 10.0.0.2')).toEqual({ id: learnt.id, isNew: false, count: 2 });
    expect(second.learn('something else').id).toBeGreaterThan(learnt.id);
  });

  test('takes any line', () => {
    const miner = createTemplateMiner();
    for (const line of ['', ' ', 'x'.repeat(1e6), 'a '.repeat(1e5), '\u0000\ud800'])
      expect(miner.learn(line).id).toBeGreaterThan(0);
  });
});
