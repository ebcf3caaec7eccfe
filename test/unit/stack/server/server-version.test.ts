import { describe, expect, test } from 'vitest';
import { compareVersions, parseVersion } from '../../../../src/stack/server/server-version.js';

describe('parseVersion', () => {
  test.each([
    ['temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)', '1.5.1', '1.29.1'],
    ['temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)\n', '0.0.0-DEV', '1.29.1'],
    ['temporal version 0.10.0 (server 1.21.0) (ui 2.10.3)', '0.10.0', undefined],
    ['warning: something\ntemporal version 1.0.0 (Server 1.24.2, UI 2.28.0)', '1.0.0', '1.24.2'],
  ])('%s', (output, cli, server) => {
    expect(parseVersion(output)).toMatchObject({ cli, server });
  });

  test.each(['', 'tctl version 1.18.0', 'usage: temporal [command]'])('not of a Temporal CLI: %j', (output) => {
    expect(parseVersion(output)).toBeUndefined();
  });
});

test('compareVersions counts, it does not spell', () => {
  expect(['1.10.0', '1.9.2', '1.5.1'].sort(compareVersions)).toEqual(['1.5.1', '1.9.2', '1.10.0']);
});
