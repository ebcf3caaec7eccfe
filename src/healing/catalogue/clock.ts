import type { Heal } from '../../domain/heal.js';
import { onMachine, planOf } from './shell.js';
import { says } from './subjects.js';

export const CLOCK: readonly Heal[] = [
  {
    name: 'set-the-clock',
    for: ['network.http', 'cache.bad'],
    scope: 'system',
    title: 'Set the machine’s clock to the host’s time',
    confidence: 0.85,
    plan(evidence) {
      if (!says(evidence, /certificate|not (?:yet )?valid|expired|\bSSL\b|\bTLS\b|\bx509\b/i)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'set-the-clock',
            'ahead=$(($(date +%s) - NIXPROOF_NOW))',
            // A run twice finds it right already.
            '[ ! -e "$state/ahead" ] || exit 0',
            // Going back to a checkpoint has set it.
            '[ "$ahead" -gt 60 ] || [ "$ahead" -lt -60 ] || exit 0',
            'date -u -s "@$NIXPROOF_NOW" >/dev/null',
            'mkdir -p "$state"',
            'echo "$ahead" >"$state/ahead"',
          ),
        ],
        undo: [
          onMachine(
            'set-the-clock',
            '[ -e "$state/ahead" ] || exit 0',
            'date -u -s "@$(($(date +%s) + $(cat "$state/ahead")))" >/dev/null',
            'rm -rf "$state"',
          ),
        ],
      });
    },
  },
];
