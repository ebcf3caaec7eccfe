import type { Reporter } from './reporter.js';

/** The run object of the command line's `--json`, two spaces deep. */
export const jsonReporter: Reporter = {
  format: 'json',
  render: async ({ run }) => `${inertJson(run)}\n`,
};

/**
 * JSON that is harmless to print: JSON.stringify escapes C0 controls and lone surrogates; DEL, C1 controls, byte order marks and
 * bidirectional controls are escaped here. Parses to the same value.
 */
function inertJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
