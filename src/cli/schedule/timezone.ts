import { InvalidArgumentError } from 'commander';
import { didYouMean } from '../../config/suggest.js';

/** Parses the value of `--timezone`. */
export function timezone(text: string): string {
  try {
    return Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone;
  } catch {
    const meant = didYouMean(text, Intl.supportedValuesOf('timeZone'));
    throw new InvalidArgumentError(`expected an IANA time zone such as Europe/Berlin or UTC${meant}`);
  }
}
