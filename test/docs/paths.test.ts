import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Files of this repository, as prose and comments name them; `scripts/install.sh` is a user's. */
const NAMED = /(?<![\w./-])(?:(?:src|test|bench|assets|schema|man)\/[\w./-]*[\w/]|scripts\/[\w-]+\.mjs)/g;

const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter(
  (file) =>
    /^(?:[^/]+\.md|(?:docs|src|test|bench|scripts|examples|\.ci)\/.*)$/.test(file) &&
    /(?:\.(?:md|ts|mjs|yaml|yml|json)|\/run)$/.test(file) &&
    // What was so then.
    file !== 'CHANGELOG.md',
);

test('every file of the repository that prose or a comment names is there', () => {
  const missing = files.flatMap((file) =>
    [...readFileSync(path.join(ROOT, file), 'utf8').matchAll(NAMED)]
      .map(([named]) => named)
      .filter((named) => !existsSync(path.join(ROOT, named)))
      .map((named) => `${file}: ${named}`),
  );
  expect(files.length).toBeGreaterThan(500);
  expect(missing).toEqual([]);
});
