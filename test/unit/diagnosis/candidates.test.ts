import { describe, expect, test } from 'vitest';
import { candidates, type Hit } from '../../../src/diagnosis/candidates.js';
import { explains } from '../../../src/diagnosis/causes.js';
import type { FailureClass } from '../../../src/domain/diagnosis.js';

function hit(of: FailureClass, confidence: number, more: Partial<Hit> = {}): Hit {
  const rule = { id: `${of}/x`, class: of, pattern: /x/, confidence, why: `${of} broke` } as const;
  return {
    rule,
    confidence,
    captures: {},
    soft: false,
    times: 1,
    text: `a line of ${of}`,
    line: 3,
    offset: 30,
    ...more,
  };
}

const rankedOf = (...hits: readonly Hit[]) => {
  const found = candidates(false);
  for (const one of hits) found.add(one);
  return found.ranked();
};
const scores = (...hits: readonly Hit[]) =>
  rankedOf(...hits).map(({ class: name, confidence }) => [name, confidence] as const);

describe('the diagnoses of hits', () => {
  test('have the surest line of their class, wherever it stands, first in the evidence', () => {
    const low = hit('disk.busy', 0.5, { text: 'first', line: 1, offset: 10 });
    const high = hit('disk.busy', 0.9, { text: 'second', line: 2, offset: 20, captures: { device: 'sda' } });
    const expected = {
      class: 'disk.busy',
      confidence: 0.9,
      line: 2,
      offset: 20,
      evidence: ['second', 'first'],
      why: 'disk.busy broke',
      rule: 'disk.busy/x',
      captures: { device: 'sda' },
    };
    expect(rankedOf(low, high)).toEqual([expected]);
    expect(rankedOf(high, low)).toEqual([expected]);
    // Of two that are as sure the first counts.
    expect(rankedOf(high, { ...high, text: 'third', line: 9 })[0]).toMatchObject({ line: 2 });
  });

  test('have five lines of evidence at most, each once and bounded', () => {
    const lines = ['a', 'a', 'b', 'c', 'd', 'e', 'f'].map((text) => hit('disk.busy', 0.9, { text }));
    expect(rankedOf(...lines)[0]?.evidence).toEqual(['a', 'b', 'c', 'd', 'e']);
    const late = hit('disk.busy', 0.95, { text: 'z' });
    expect(rankedOf(...lines, late)[0]?.evidence).toEqual(['z', 'a', 'b', 'c', 'd']);
    const long = hit('disk.busy', 0.9, { text: 'x'.repeat(501) });
    expect(rankedOf(long)[0]?.evidence).toEqual(['x'.repeat(500)]);
  });

  test('say why with what was captured; what was not is left out with its colon', () => {
    const rule = { ...hit('disk.busy', 1).rule, why: '{device} is busy: {by}' };
    expect(rankedOf(hit('disk.busy', 1, { rule, captures: { device: 'sda', by: 'lvm' } }))[0]?.why).toBe(
      'sda is busy: lvm',
    );
    expect(rankedOf(hit('disk.busy', 1, { rule, captures: { device: 'sda' } }))[0]?.why).toBe('sda is busy');
  });

  test('are a guess and left out below 0.35', () => {
    expect(scores(hit('disk.busy', 0.35))).toEqual([['disk.busy', 0.35]]);
    expect(scores(hit('disk.busy', 0.34))).toEqual([]);
  });

  test('are sorted by how sure they are, each class that came later a little less, of equal ones the earlier first', () => {
    expect(scores(hit('hardware.firmware', 0.5), hit('kexec', 0.6))).toEqual([
      ['kexec', 0.59],
      ['hardware.firmware', 0.5],
    ]);
    expect(scores(hit('nix.eval', 0.485), hit('ssh.auth', 0.5)).map(([name]) => name)).toEqual([
      'nix.eval',
      'ssh.auth',
    ]);
  });

  test('are five at most; from the sixth class on none is worth less for being late', () => {
    const all: readonly FailureClass[] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as unknown as FailureClass[];
    const ranked = scores(...all.map((of, index) => hit(of, 0.5 + index / 10)));
    expect(ranked).toEqual([
      ['h', 1.11],
      ['g', 1.01],
      ['f', 0.93],
      ['e', 0.84],
      ['d', 0.76],
    ]);
  });
});

describe('a soft hit', () => {
  const warned = (times: number, confidence = 0.9) => hit('network.http', confidence, { soft: true, times });

  test('counts from the third time it is said, and less', () => {
    expect(scores(warned(1), warned(2))).toEqual([]);
    expect(scores(warned(3))).toEqual([['network.http', 0.59]]);
  });

  test('does not take the place of a hard one that is surer', () => {
    expect(scores(hit('network.http', 0.6), warned(3))).toEqual([['network.http', 0.6]]);
  });
});

describe('a cause', () => {
  test('that is sure halves what it explains', () => {
    expect(scores(hit('disk.full', 0.65), hit('nix.build', 0.9))).toEqual([
      ['disk.full', 0.65],
      ['nix.build', 0.44],
    ]);
    expect(scores(hit('disk.full', 0.64), hit('nix.build', 0.9))[0]).toEqual(['nix.build', 0.89]);
  });

  test('may come after what it explains', () => {
    expect(scores(hit('nix.build', 0.9), hit('disk.full', 0.9))).toEqual([
      ['disk.full', 0.89],
      ['nix.build', 0.45],
    ]);
  });

  test('of two that could each explain the other is the one that came first', () => {
    expect(scores(hit('ssh.auth', 0.9), hit('ssh.connection', 0.9))).toEqual([
      ['ssh.auth', 0.9],
      ['ssh.connection', 0.44],
    ]);
    expect(scores(hit('ssh.connection', 0.9), hit('ssh.auth', 0.9))).toEqual([
      ['ssh.connection', 0.9],
      ['ssh.auth', 0.44],
    ]);
  });

  test.each<[FailureClass, FailureClass]>([
    ['disk.full', 'bootloader'],
    ['memory.oom', 'kexec'],
    ['network.dns', 'network.http'],
    ['network.dns', 'nix.flake'],
    ['network.unreachable', 'mount.failed'],
    ['network.http', 'cache.bad'],
    ['network.rate-limit', 'ssh.auth'],
    ['cache.bad', 'nix.daemon'],
    ['disk.not-found', 'disk.busy'],
    ['disk.busy', 'mount.failed'],
    ['disk.partition-failed', 'mount.failed'],
    ['mount.failed', 'bootloader'],
    ['auth.secrets', 'ssh.auth'],
    ['ssh.auth', 'network.http'],
    ['ssh.connection', 'nix.daemon'],
    ['nix.eval', 'nix.flake'],
    ['nix.flake', 'nix.build'],
    ['nix.daemon', 'disk.busy'],
    ['nix.build', 'timeout'],
    ['bootloader', 'disk.full'],
    ['hardware.firmware', 'kexec'],
    ['kexec', 'memory.oom'],
    ['timeout', 'network.unreachable'],
    ['service.failed', 'user.input'],
    ['user.input', 'service.failed'],
  ])('%s explains %s', (cause, consequence) => {
    expect(explains(cause, consequence)).toBe(true);
    expect(explains(cause, cause)).toBe(false);
  });

  test.each<[FailureClass, FailureClass]>([
    ['nix.build', 'disk.full'],
    ['unknown', 'nix.build'],
    ['service.failed', 'memory.oom'],
  ])('%s does not explain %s', (cause, consequence) => {
    expect(explains(cause, consequence)).toBe(false);
  });
});

describe('a failure that no rule knows', () => {
  const line = { text: '[ERROR] the frobnicator went away', line: 7, offset: 70 };

  test('is what its lines tell, unless a rule knows one', () => {
    const found = candidates(false);
    found.unknown.look(line);
    expect(found.ranked()).toMatchObject([{ class: 'unknown', line: 7, offset: 70, evidence: [line.text] }]);
    found.add(hit('disk.busy', 0.9));
    expect(found.ranked().map(({ class: name }) => name)).toEqual(['disk.busy']);
  });
});
