import { setTimeout as delay } from 'node:timers/promises';
import { NixproofError } from '../../domain/error.js';
import type { Qmp } from './qmp.js';

/** Keys that are pressed together, by QEMU's names for them (QMP Reference Manual: QKeyCode). */
export type Chord = readonly string[];

/** What a US keyboard has on its keys beside letters and digits: alone, and with shift. */
const SYMBOLS: Readonly<Record<string, readonly [plain: string, shifted?: string]>> = {
  minus: ['-', '_'],
  equal: ['=', '+'],
  bracket_left: ['[', '{'],
  bracket_right: [']', '}'],
  semicolon: [';', ':'],
  apostrophe: ["'", '"'],
  grave_accent: ['`', '~'],
  backslash: ['\\', '|'],
  comma: [',', '<'],
  dot: ['.', '>'],
  slash: ['/', '?'],
  spc: [' '],
  ret: ['\n'],
  tab: ['\t'],
};
const SHIFTED_DIGITS = ')!@#$%^&*(';

const CHORDS: ReadonlyMap<string, Chord> = new Map([
  ...Array.from('abcdefghijklmnopqrstuvwxyz').flatMap((letter): [string, Chord][] => [
    [letter, [letter]],
    [letter.toUpperCase(), ['shift', letter]],
  ]),
  ...Array.from(SHIFTED_DIGITS).flatMap((shifted, digit): [string, Chord][] => [
    [String(digit), [String(digit)]],
    [shifted, ['shift', String(digit)]],
  ]),
  ...Object.entries(SYMBOLS).flatMap(([key, [plain, shifted]]): [string, Chord][] => [
    [plain, [key]],
    ...(shifted === undefined ? [] : [[shifted, ['shift', key]] as [string, Chord]]),
  ]),
]);

/** What a person would press on a US keyboard to write a text. @throws NixproofError `INTERNAL_KEYBOARD` for what it has no key for */
export function chordsOf(text: string): readonly Chord[] {
  return Array.from(text, (character) => {
    const chord = CHORDS.get(character);
    if (chord) return chord;
    throw new NixproofError('INTERNAL_KEYBOARD', `a US keyboard has no key for ${JSON.stringify(character)}`);
  });
}

/** A key is down so long, and up as long before the next: an emulated keyboard forgets what a slow guest does not fetch. */
const KEY_MS = 25;

/** Types a text on the machine's keyboard (QMP send-key), as fast as a slow guest can read it: 20 characters a second. */
export async function typeText(qmp: Qmp, text: string, signal: AbortSignal): Promise<void> {
  for (const chord of chordsOf(text)) {
    const keys = chord.map((data) => ({ type: 'qcode', data }));
    await qmp.execute('send-key', { keys, 'hold-time': KEY_MS });
    await delay(2 * KEY_MS, undefined, { signal });
  }
}
