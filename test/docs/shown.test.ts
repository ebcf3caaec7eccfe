import { expect, test } from 'vitest';
import { claimsOf, DRIVERS, HEALS } from '../shown.js';

/** That a column holds what its suite shows is the suite's own to compare, when it ends. */
test.each([DRIVERS, HEALS])(
  '$page has a row for everything that is to be shown, and a suite that shows it',
  async (table) => {
    const claims = await claimsOf(table);
    expect([...claims.keys()]).toEqual(await table.rows());
    expect([...claims].filter(([, columns]) => columns.length === 0)).toEqual([]);
  },
);
