import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CATALOGUE } from '../../src/healing/catalogue/index.js';
import { PRIOR_STRENGTH, posteriorMean } from '../../src/healing/beta.js';
import { ROOT } from './pages.js';

const page = readFileSync(path.join(ROOT, 'docs/healing.md'), 'utf8');

test('docs/healing.md has every heal of the catalogue as the code has it, and no other', () => {
  const told = [...page.matchAll(/^\| `([a-z-]+)` *\| (.*?) *\| ([\d.]+) *\| (.*?) *\|$/gm)].map(
    ([, name, classes = '', prior, title]) => ({
      name,
      for: classes.split(', ').map((text) => text.replaceAll('`', '')),
      confidence: Number(prior),
      title,
    }),
  );
  expect(told).toEqual(
    CATALOGUE.map(({ name, for: classes, confidence, title }) => ({ name, for: classes, confidence, title })),
  );
});

test('its arithmetic is right', () => {
  expect(PRIOR_STRENGTH).toBe(4);
  expect(posteriorMean(0.8, { worked: 7, notWorked: 1 })).toBeCloseTo(0.85);
  expect(posteriorMean(0.8, { worked: 0, notWorked: 4 })).toBeCloseTo(0.4);
});
