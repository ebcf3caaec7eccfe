import { expect, test } from 'vitest';
import { runDetails } from '../../../src/workflows/story.js';
import { running } from '../reports/fixtures.js';

test('a guest’s text is no markdown in the details’ heading', () => {
  const state = 'installing: ![x](https://evil.example/a.png) **b** `code` <img src=x>';
  const [heading = ''] = runDetails({ ...running, state }).split('\n');
  const [outside = ''] = heading.split('installing');
  expect(heading).toBe(
    `### \`${running.profile}\` on ${running.driver}: \`installing: ![x](https://evil.example/a.png) **b**  code  <img src=x>\``,
  );
  expect(outside).not.toMatch(/[![*<]/);
});
