import { describe, expect, test } from 'vitest';
import { classifyStartFailure, startFailed } from '../../../../src/stack/server/start-failure.js';

/** What temporal 1.5.1 (server 1.29.1) printed. */
const SEEN = {
  port: `{"level":"ERROR","msg":"can't set frontend port 17233: listen tcp 127.0.0.1:17233: bind: address already in use"}`,
  ui: `{"level":"ERROR","msg":"can't set UI port 18233: listen tcp 127.0.0.1:18233: bind: address already in use"}`,
  garbage: `{"level":"ERROR","msg":"failed starting server: failed creating namespaces: unable to create SQLite admin DB: file is not a database (26)"}`,
};

describe('classifyStartFailure', () => {
  test.each([
    [SEEN.port, 'port-taken'],
    [SEEN.ui, 'port-taken'],
    [SEEN.garbage, 'database'],
    ['CLI 1.5.1 (Server 1.29.1, UI 2.42.1)', 'other'],
    ['', 'other'],
  ])('%s → %s', (log, kind) => {
    expect(classifyStartFailure(log)).toBe(kind);
  });
});

describe('startFailed', () => {
  const facts = {
    how: 'exit status 1',
    logTail: SEEN.garbage,
    logFile: '/l',
    database: '/d.db',
    version: '1.5.1',
    writtenBy: '1.6.0',
  };

  test('names who wrote the database and what to do', () => {
    const error = startFailed({ ...facts, kind: 'database' });
    expect(error.code).toBe('SERVER_DATABASE_UNUSABLE');
    expect(error.message).toContain('Temporal 1.5.1 cannot open its database /d.db; Temporal 1.6.0 wrote it:');
    expect(error.hint).toContain('move /d.db');
    expect(error.hint).toContain('put `temporal` 1.6.0 on PATH');
  });

  test('names nobody where the same version wrote it', () => {
    expect(startFailed({ ...facts, kind: 'database', writtenBy: '1.5.1' }).message).not.toContain('wrote it');
  });

  test('shows the end of the log', () => {
    expect(startFailed({ ...facts, kind: 'other' })).toMatchObject({ code: 'SERVER_START_FAILED', hint: 'read /l' });
  });
});
