import type { Repeat, SuiteChange, SuiteReport } from '../domain/suite.js';
import { oneLine } from './escape.js';

/** What many runs together tell, in lines of plain text: what changed since the runs before, and how steady each profile is. */
export function comparisonLines({ changes = [], repeats = [] }: SuiteReport): readonly string[] {
  return [...changes.map(changeLine), ...repeats.map(repeatLine)];
}

/** One line of plain text: `vm on qemu, debian broke: passed before, failed now`. */
export function changeLine({ profile, driver, base, kind, text }: SuiteChange): string {
  const verb = { broke: 'broke', fixed: 'is fixed', healed: 'needs healing now', slower: 'became slower' }[kind];
  return oneLine(`${profile} on ${placeText(driver, base)} ${verb}: ${text}`, 300);
}

/** One line a profile: `vm on qemu: 9 of 10 passed, 1 failed: flaky; passes 60–98 % of the time (95 % confidence)`. */
export function repeatLine({ profile, driver, base, runs, passed, healed, failed, flaky, passRate }: Repeat): string {
  const others = [healed > 0 ? `${healed} healed` : '', failed > 0 ? `${failed} failed` : ''].filter(
    (text) => text !== '',
  );
  const [low, high] = passRate.map((share) => Math.round(share * 100));
  const told = [`${passed} of ${runs} passed`, ...others].join(', ');
  const often = `passes ${low}–${high} % of the time (95 % confidence)`;
  return oneLine(`${profile} on ${placeText(driver, base)}: ${told}${flaky ? ': flaky' : ''}; ${often}`, 300);
}

function placeText(driver: string, base: string | undefined): string {
  return base === undefined ? driver : `${driver}, ${base}`;
}
