import { describe, expect, test } from 'vitest';
import { chordsOf, typeText } from '../../../../src/machines/qemu/keyboard.js';
import type { Qmp } from '../../../../src/machines/qemu/qmp.js';
import { keyCommand, keyboardLogin } from '../../../../src/machines/qemu/console-login.js';

const signal = new AbortController().signal;
const KEY = 'ssh-ed25519 AAAA nixproof';

/** A QEMU that notes which keys are pressed. */
function noting(pressed: string[]): Qmp {
  return {
    async execute(command, args) {
      const keys = args?.['keys'] as readonly { readonly data: string }[];
      pressed.push(`${command} ${keys.map(({ data }) => data).join('-')}`);
    },
    human: async () => '',
    next: async () => undefined,
    closed: new Promise(() => undefined),
    async [Symbol.asyncDispose]() {},
  };
}

describe('a US keyboard', () => {
  test.each([
    ['az', 'a z'],
    ['AZ', 'shift-a shift-z'],
    ['09', '0 9'],
    [')!@#$%^&*(', 'shift-0 shift-1 shift-2 shift-3 shift-4 shift-5 shift-6 shift-7 shift-8 shift-9'],
    ['-_=+', 'minus shift-minus equal shift-equal'],
    ['[{]}', 'bracket_left shift-bracket_left bracket_right shift-bracket_right'],
    [';:\'"', 'semicolon shift-semicolon apostrophe shift-apostrophe'],
    ['`~\\|', 'grave_accent shift-grave_accent backslash shift-backslash'],
    [',<.>/?', 'comma shift-comma dot shift-dot slash shift-slash'],
    [' \n\t', 'spc ret tab'],
  ])('writes %j with %s', (text, keys) => {
    expect(chordsOf(text).map((chord) => chord.join('-'))).toEqual(keys.split(' '));
  });

  test('has every printable character of ASCII', () => {
    const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
    expect(new Set(chordsOf(printable).map(String)).size).toBe(95);
  });

  test('has no ü', () => {
    expect(() => chordsOf('ü')).toThrow('a US keyboard has no key for "ü"');
  });

  test('is typed on key by key', async () => {
    const pressed: string[] = [];
    await typeText(noting(pressed), 'Hi\n', signal);
    expect(pressed).toEqual(['send-key shift-h', 'send-key i', 'send-key ret']);
  });
});

describe('the way in by the keyboard', () => {
  test('is one command that gives root the key and starts the SSH server', () => {
    expect(keyCommand(KEY)).toBe(
      `sudo sh -c 'umask 77; mkdir -p /root/.ssh; echo ${KEY} >>/root/.ssh/authorized_keys; systemctl start ssh; systemctl start sshd'\n`,
    );
  });

  test.each([
    ['while a boot menu may still wait for keys', { kind: 'silent', quietMs: 1000 }, false],
    ['after a long silence without SSH', { kind: 'silent', quietMs: 300_000 }, true],
    ['once SSH refuses the key', { kind: 'refused' }, true],
  ] as const)('%s: %o types: %s', async (_, waiting, types) => {
    const typed: string[] = [];
    const said: string[] = [];
    const work = { signal, progress: (line: string) => void said.push(line) };
    const help = keyboardLogin(noting([]), KEY, 'tcg', work, async (_qmp, text) => void typed.push(text));
    await help(waiting);
    await help(waiting);
    // What was typed is given time to work before it is typed again.
    expect(typed).toEqual(types ? [`\n${keyCommand(KEY)}`] : []);
    expect(said).toHaveLength(types ? 1 : 0);
  });
});
