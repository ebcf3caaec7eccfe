import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { createStreamParser } from '../../../src/stream/parser.js';
import { eventOf, eventsOf, nix } from './reading.js';

const recorded = (name: string) => readFileSync(new URL(`recorded/nix-2.8-${name}.log`, import.meta.url));

/** Events as short strings, offsets left out. */
function told(log: string | Uint8Array): string[] {
  return eventsOf(log).map((event) => {
    switch (event.type) {
      case 'build':
        return `${event.status} ${event.derivation.replace(/^.{44}/, '')}`;
      case 'progress':
        return `${event.stage} ${event.details} ${event.fraction?.toFixed(2) ?? ''}`.trim();
      case 'line':
        return `${event.level ?? '-'}: ${event.text}`;
      case 'error':
      case 'warning':
        return `${event.type}: ${event.message}`;
      default:
        return event.type;
    }
  });
}

describe('recorded logs of Nix 2.8', () => {
  it('tells a build that passed', () => {
    expect(told(recorded('build-passed'))).toEqual([
      'nix-build 0/1 0.00',
      '6: querying info about missing paths',
      'nix-build 0/2 0.00',
      'nix-build 0/3 0.00',
      'started etc.drv',
      '-: linking etc',
      '-: the green part',
      'nix-build 1/3 0.33',
      'finished etc.drv',
      'started initrd.drv',
      '-: Größe der initrd: 12 MiB',
      'nix-build 2/3 0.67',
      'finished initrd.drv',
      'started nixos-system-vm.drv',
      'nix-build 3/3 1.00',
      'finished nixos-system-vm.drv',
    ]);
  });

  it('tells a build that failed, and takes no marker from inside a build', () => {
    const story = told(recorded('build-failed'));
    expect(story).toContain('-: ::ERROR::printed inside a build');
    expect(story.filter((item) => item.startsWith('error'))).toEqual([
      "error: error: builder for '/nix/store/57gjd4pf2dq191g6i8a6aybwvdhs618f-unit-broken.service.drv' failed with exit code 3",
      "error: error: 1 dependencies of derivation '/nix/store/dg898pwd17p8p0xwqsbzs9zl9rrphngh-nixos-system-server.drv' failed to build",
    ]);
  });

  it('tells a copy, and a warning at level 0 as one', () => {
    const story = told(recorded('copy'));
    expect(story[0]).toBe("warning: warning: the group 'nixbld' specified in 'build-users-group' does not exist");
    expect(story).toContain(
      "3: copying path '/nix/store/iqmp4amg8lf22l24h7zkdbmlh35a2gyg-nixos-system-vm' to 'file:///srv/cache'",
    );
  });
});

const start = (id: string, type: number, more: object = {}) =>
  nix({ action: 'start', id: 0, level: 0, text: '', type, ...more }).replace('"id":0', `"id":${id}`);
const result = (id: string, type: number, fields: unknown[]) =>
  nix({ action: 'result', fields, id: 0, type }).replace('"id":0', `"id":${id}`);
const stop = (id: string) => `@nix {"action":"stop","id":${id}}\n`;

describe('activities', () => {
  it('tells ids apart that are one number to JavaScript', () => {
    const [one, two] = ['9007199254740993', '9007199254740994'];
    expect(Number(one)).toBe(Number('9007199254740992'));
    const log =
      start(one, 105, { fields: ['/nix/store/one.drv', '', 1, 1] }) +
      start('9007199254740992', 105, { fields: ['/nix/store/zero.drv', '', 1, 1] }) +
      start(two, 105, { fields: ['/nix/store/two.drv', '', 1, 1] }) +
      stop(one) +
      stop('9007199254740992') +
      stop(two);
    expect(eventsOf(log).slice(3)).toMatchObject([
      { derivation: '/nix/store/one.drv', status: 'finished' },
      { derivation: '/nix/store/zero.drv', status: 'finished' },
      { derivation: '/nix/store/two.drv', status: 'finished' },
    ]);
  });

  it('adds up what several processes do', () => {
    const log =
      start('1', 104) +
      start('2', 104) +
      result('1', 105, [1, 4, 1, 0]) +
      result('2', 105, [2, 6, 1, 0]) +
      stop('1') +
      result('2', 105, [3, 6, 1, 0]);
    expect(told(log)).toEqual(['nix-build 1/4 0.25', 'nix-build 3/10 0.30', 'nix-build 3/6 0.50']);
  });

  it('counts copied paths', () => {
    expect(told(start('1', 103) + result('1', 105, [0, 0, 0, 0]) + result('1', 105, [1, 2, 0, 0]))).toEqual([
      'nix-copy 1/2 0.50',
    ]);
  });

  it('counts downloaded bytes against what Realise expects', () => {
    const mib = 1024 * 1024;
    const log =
      start('1', 102) +
      result('1', 106, [101, 10 * mib]) +
      start('2', 101, { text: "downloading 'https://cache.example.org/a.nar.xz'", level: 4 }) +
      result('2', 105, [2.5 * mib, 5 * mib, 0, 0]) +
      result('2', 105, [2.75 * mib, 5 * mib, 0, 0]) +
      result('2', 105, [5 * mib, 5 * mib, 0, 0]) +
      stop('2') +
      start('3', 101) +
      result('3', 105, [5 * mib, 5 * mib, 0, 0]);
    expect(told(log)).toEqual([
      "4: downloading 'https://cache.example.org/a.nar.xz'",
      'nix-download 2/10 MiB 0.25',
      'nix-download 5/10 MiB 0.50',
      'nix-download 10/10 MiB 1.00',
    ]);
  });

  it('says the same progress once', () => {
    const results = Array.from({ length: 100_000 }, (_, at) =>
      result('1', 105, [Math.floor(at / 10_000), 10, at % 4, 0]),
    );
    expect(told(start('1', 104) + results.join(''))).toHaveLength(10);
  });

  it('forgets the oldest of very many', () => {
    const parser = createStreamParser();
    const starts = Array.from({ length: 5000 }, (_, at) =>
      [101, 102, 103, 104, 105]
        .map((type) => start(String(type * 100_000 + at), type, { fields: [`/nix/store/${at}.drv`] }))
        .join(''),
    );
    parser.push(Buffer.from(starts.join('')));
    expect(JSON.stringify(parser.snapshot()).length).toBeLessThan(100_000);
    expect(parser.push(Buffer.from(stop('10500000')))).toEqual([]);
    expect(parser.push(Buffer.from(stop('10504999')))).toMatchObject([
      { derivation: '/nix/store/4999.drv', status: 'finished' },
    ]);
  });
});

describe('messages', () => {
  test.each([
    [
      { action: 'msg', level: 0, msg: '\x1b[31;1merror:\x1b[0m no space' },
      { type: 'error', message: 'error: no space' },
    ],
    [
      { action: 'msg', level: 1, msg: 'careful' },
      { type: 'warning', message: 'careful' },
    ],
    [
      { action: 'msg', level: 3, msg: 'evaluating' },
      { type: 'line', text: 'evaluating', level: 3 },
    ],
    [
      { action: 'msg', level: 0, msg: 'error: a\n\n   at b:1\n' },
      { type: 'error', message: 'error: a at b:1' },
    ],
    [
      { action: 'result', id: 1, type: 101, fields: ['a "quoted" part'] },
      { type: 'line', text: 'a "quoted" part' },
    ],
    [
      { action: 'result', id: 1, type: 107, fields: ['hook'] },
      { type: 'line', text: 'hook' },
    ],
    [
      { action: 'result', id: 1, type: 101, fields: ['\ud800x'] },
      { type: 'line', text: '\ufffdx' },
    ],
    [
      { action: 'start', id: 1, type: 0, level: 3, text: 'evaluating' },
      { type: 'line', text: 'evaluating', level: 3 },
    ],
  ])('%j', (message, event) => {
    expect(eventOf(nix(message).trimEnd())).toEqual(event);
  });

  test.each([
    { action: 'result', id: 1, type: 104, fields: ['buildPhase'] },
    { action: 'result', id: 1, type: 105, fields: [1, 2, 3, 4] },
    { action: 'result', id: 1, type: 105, fields: ['a', {}] },
    { action: 'stop', id: 7 },
    { action: 'start', id: 1, type: 105, level: 0, text: '' },
  ])('says nothing of %j', (message) => {
    expect(eventOf(nix(message).trimEnd())).toBeUndefined();
  });

  test.each([
    '@nix ',
    '@nix {',
    '@nix {}',
    '@nix []',
    '@nix {"action":"stop"}',
    '@nix {"action":"stop","id":"1"}',
    '@nix {"action":"stop","id":-1}',
    '@nix {"action":"stop","id":1.5}',
    '@nix {"action":"dance","id":1,"type":1}',
    '@nix {"action":"msg","level":"x","msg":"m"}',
    '@nix {"action":"msg","level":0,"msg":5}',
    '@nix {"action":"result","fields":[1,2,3,4],"id":1,"type":105',
    'x @nix {"action":"stop","id":1}',
    '@nix{"action":"stop","id":1}',
  ])('%s is a plain line', (text) => {
    expect(eventOf(text)).toEqual({ type: 'line', text });
  });

  it('takes deep nesting for a line', () => {
    const text = `@nix {"a":${'['.repeat(8000)}`;
    expect(eventOf(text)).toEqual({ type: 'line', text });
  });

  it('reads the common form as any other', () => {
    const log = recorded('build-failed').toString('utf8');
    const spaced = log.replaceAll('@nix {', '@nix { ');
    const bodies = (text: string) => eventsOf(text).map((event) => ({ ...event, offset: 0 }));
    expect(bodies(spaced)).toEqual(bodies(log));
  });

  it('reads a message of 100 KB, and a longer one than is held as a line', () => {
    const trace = 'error: trace '.repeat(8000);
    expect(eventOf(nix({ action: 'msg', level: 0, msg: trace }).trimEnd())).toEqual({
      type: 'error',
      message: trace.slice(0, 8192),
    });
    const long = nix({ action: 'msg', level: 0, msg: 'x'.repeat(300_000) }).trimEnd();
    expect(eventOf(long)).toEqual({ type: 'line', text: long.slice(0, 8192), truncatedBytes: long.length });
  });
});
