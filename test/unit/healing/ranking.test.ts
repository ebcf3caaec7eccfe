import { describe, expect, test } from 'vitest';
import type { FailureClass } from '../../../src/domain/diagnosis.js';
import type { Evidence, Heal, HealCounts } from '../../../src/domain/heal.js';
import type { UserHeal } from '../../../src/domain/profile.js';
import { drawPosterior, posteriorMean } from '../../../src/healing/beta.js';
import { rankHeals } from '../../../src/healing/ranking.js';
import { randomFrom } from '../../../bench/installer-log.js';
import { evidenceOf } from './evidence.js';

const NEVER: HealCounts = { worked: 0, notWorked: 0 };
const PLAN = { commands: ['true'], undo: [], edits: [], resume: 'phase' } as const;

function heal(name: string, confidence: number, ...classes: readonly FailureClass[]): Heal {
  return { name, for: classes, scope: 'files', title: `Do ${name}`, confidence, plan: () => PLAN };
}

const dns = evidenceOf({ log: 'curl: (6) Could not resolve host: mirror.example.org' });
const sureness = dns.diagnosis.confidence;
const HEALS = [heal('good', 0.8, 'network.dns'), heal('fair', 0.6, 'network.dns'), heal('other', 0.9, 'disk.full')];

const rank = (counts: Readonly<Record<string, HealCounts>> = {}, more: Partial<Parameters<typeof rankHeals>[0]> = {}) =>
  rankHeals({ evidences: [dns], heals: HEALS, counts: (_, name) => counts[name] ?? NEVER, ...more });

const names = (candidates: readonly { readonly name: string }[]) => candidates.map(({ name }) => name);

describe('the ranking', () => {
  test('without a record is the catalogue’s own, times how sure the diagnosis is', () => {
    const candidates = rank();
    expect(names(candidates)).toEqual(['good', 'fair']);
    expect(candidates[0]).toEqual({
      name: 'good',
      class: 'network.dns',
      title: 'Do good',
      confidence: expect.closeTo(sureness * 0.8) as number,
      seen: NEVER,
      plan: PLAN,
    });
  });

  test('learns: what worked comes before what did not, and says how sure it is', () => {
    const candidates = rank({ good: { worked: 0, notWorked: 4 }, fair: { worked: 4, notWorked: 0 } });
    expect(names(candidates)).toEqual(['fair', 'good']);
    expect(candidates[0]?.confidence).toBeCloseTo((sureness * (4 * 0.6 + 4)) / 8);
    expect(candidates[1]?.confidence).toBeCloseTo((sureness * (4 * 0.8)) / 8);
  });

  test('one lucky pass does not turn it over', () => {
    expect(names(rank({ fair: { worked: 1, notWorked: 0 } }))).toEqual(['good', 'fair']);
  });

  test('never has what was tried for the same failure', () => {
    expect(names(rank({}, { tried: new Set(['good']) }))).toEqual(['fair']);
  });

  test('leaves out what the evidence says cannot help', () => {
    const heals = [{ ...heal('never', 0.9, 'network.dns'), plan: () => undefined }, ...HEALS];
    expect(names(rank({}, { heals }))).toEqual(['good', 'fair']);
  });

  test('has a heal once, for the diagnosis that makes it surest', () => {
    const full: Evidence = { ...dns, diagnosis: { ...dns.diagnosis, class: 'disk.full', confidence: 0.4 } };
    const both = [heal('both', 0.5, 'network.dns', 'disk.full'), ...HEALS];
    const candidates = rank({}, { evidences: [dns, full], heals: both });
    expect(candidates.map(({ name, class: of }) => [name, of])).toEqual([
      ['good', 'network.dns'],
      ['fair', 'network.dns'],
      ['both', 'network.dns'],
      ['other', 'disk.full'],
    ]);
  });

  const own: UserHeal = {
    name: 'use-the-mirror',
    for: 'network.dns',
    confidence: 0.95,
    run: ['echo mirror'],
    config: { 'hosts/vm.nix': '{ }' },
    undo: ['echo back'],
    resume: 'rerun',
  };

  test('takes the user’s heals in', () => {
    const [best] = rank({}, { userHeals: [own] });
    expect(best).toMatchObject({
      name: 'use-the-mirror',
      class: 'network.dns',
      plan: {
        commands: ['echo mirror'],
        undo: ['echo back'],
        edits: [{ kind: 'write', path: 'hosts/vm.nix', content: '{ }' }],
        resume: 'rerun',
      },
    });
  });

  test('lets the user’s heal take the place of ours', () => {
    const candidates = rank({}, { userHeals: [{ ...own, name: 'good', confidence: 0.1 }] });
    expect(names(candidates)).toEqual(['fair', 'good']);
    expect(candidates[1]?.plan.commands).toEqual(['echo mirror']);
  });

  test('explores where it is told to, and shows the mean all the same', () => {
    const random = randomFrom(1);
    const firsts = Array.from({ length: 400 }, () => rank({}, { explore: random })[0]);
    const fair = firsts.filter((first) => first?.name === 'fair').length;
    expect(fair).toBeGreaterThan(40);
    expect(fair).toBeLessThan(200);
    expect(new Set(firsts.map((first) => first?.confidence.toFixed(6))).size).toBe(2);
  });

  test('of the catalogue, for a real failure', () => {
    const candidates = rankHeals({
      evidences: [
        evidenceOf({
          log: 'curl: (6) Could not resolve host: mirror.example.org',
          probes: { names: '', resolver: 'nameserver 192.0.2.1' },
        }),
      ],
      counts: () => NEVER,
    });
    expect(names(candidates).slice(0, 2)).toEqual(['use-the-networks-resolver', 'wait-for-the-host']);
  });
});

describe('the posterior', () => {
  test.each([
    [0.9, 0, 0, 0.9],
    [0.5, 8, 0, 10 / 12],
    [0.5, 0, 8, 2 / 12],
    [0.9, 7, 1, 10.6 / 12],
  ])('of %d after %d and %d is %d', (prior, worked, notWorked, mean) => {
    expect(posteriorMean(prior, { worked, notWorked })).toBeCloseTo(mean);
  });

  test.each([
    [0.9, 0, 0],
    [0.5, 3, 9],
    [1, 0, 5],
    [0, 0, 0],
  ])('of %d after %d and %d is drawn with its mean and variance', (prior, worked, notWorked) => {
    const counts = { worked, notWorked };
    const random = randomFrom(7);
    const draws = Array.from({ length: 20_000 }, () => drawPosterior(prior, counts, random));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
    const expected = posteriorMean(prior, counts);
    expect(mean).toBeCloseTo(expected, 2);
    expect(variance).toBeCloseTo((expected * (1 - expected)) / (4 + worked + notWorked + 1), 3);
  });
});
