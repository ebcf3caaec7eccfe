import { clip, escapeHtml, TEXT_LIMIT } from '../escape.js';

/** A piece of HTML that is safe to put into the page: made by the `html` tag only. */
export interface Html {
  readonly markup: string;
}

type Value = Html | string | number | undefined | readonly Html[];

/** Template tag: whatever is no Html already is escaped and bounded, so guest text cannot reach the page as markup. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const markup = parts.reduce(
    (all, part, index) =>
      `${all}${part.replace(/\n\s+/g, '\n')}${index < values.length ? markupOf(values[index]) : ''}`,
    '',
  );
  return { markup };
}

/** Our own constant text (style sheet, script, svg numbers), taken as it is. Never for anything a guest or a file said. */
export function ownMarkup(markup: string): Html {
  return { markup };
}

function markupOf(value: Value): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escapeHtml(clip(value, TEXT_LIMIT * 2));
  return 'markup' in value ? value.markup : value.map((part) => part.markup).join('');
}
