import { describe, expect, test } from 'vitest';
import { commandBreaker, withoutCommands } from '../../../src/cli/runner-log.js';
import { obeyed } from '../../runner-commands.js';

/** What a guest may print to be obeyed. */
const HOSTILE = [
  '::error::x',
  '  \t::add-mask::a',
  '\u00a0\u2003::warning file=a::b',
  '\x85::notice::b',
  'harmless ##[add-path]/evil',
  '#####[error]x',
  '##[##[error]x',
  'a\r::set-output name=a::b\r##[group]x',
  '::::error::x',
  '::stop-commands::me\n::error::x\n::me::\n::error::y',
  ':\n::echo::on',
  '##',
  '[error]',
  ' :',
  ':debug::x',
];

describe('the runner’s rules', () => {
  test.each([
    ['::error::x', ['error']],
    [' \t::ERROR title=a::x', ['error']],
    ['x ::error::x', []],
    ['::unknown::x', []],
    ['x ##[Warning]y', ['warning']],
    ['##[no]x ##[error]y', []],
    ['::stop-commands::w\n::error::x\n##[error]x\n::w::\n::error::y', ['stop-commands', 'w', 'error']],
    ['::stop-commands::w\n x ##[W] \n::error::y', ['stop-commands', 'w', 'error']],
  ])('%j', (output, names) => {
    expect(obeyed(output).map(({ name }) => name)).toEqual(names);
  });
});

describe('in broken text', () => {
  const whole = HOSTILE.join('\n');

  test('no command is left', () => {
    expect(obeyed(whole).length).toBeGreaterThan(0);
    expect(obeyed(commandBreaker()(whole))).toEqual([]);
  });

  test.each([1, 2, 3, 5])('none comes about where texts of %i characters meet', (length) => {
    const broken = commandBreaker();
    const parts = whole.match(new RegExp(`[^]{1,${length}}`, 'g')) ?? [];
    expect(obeyed(parts.map(broken).join(''))).toEqual([]);
  });

  test.each(HOSTILE.flatMap((first) => HOSTILE.map((second) => [first, second] as const)))(
    'none comes of %j and %j on one line',
    (first, second) => {
      const broken = commandBreaker();
      expect(obeyed(broken(first) + broken(second))).toEqual([]);
    },
  );

  test('what is no command stays as it is', () => {
    const text = 'std::vector<int> a;\n# heading\n## [link]\nIPv6 fe80::1\n[##]\n';
    expect(commandBreaker()(text)).toBe(text);
  });
});

test('a JSON document has no command and says the same', () => {
  const document = { line: 'x ##[error]y', lines: HOSTILE };
  const json = withoutCommands(JSON.stringify(document, null, 2));
  expect(obeyed(json)).toEqual([]);
  expect(JSON.parse(json)).toEqual(document);
});
