#!/usr/bin/env node
import path from 'node:path';
import { CommanderError } from 'commander';
import { EXIT } from '../domain/verdict.js';
import { fromHomeFolder } from '../host/paths.js';
import { createProgram } from './program.js';

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.fault),
);
// The processes of the local stack work in another folder.
const key = process.env['NIXPROOF_KEY_FILE'];
if (key) process.env['NIXPROOF_KEY_FILE'] = path.resolve(fromHomeFolder(key));

try {
  await createProgram().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error.exitCode !== 0 && process.argv.includes('--json')) {
    const message = error.message.replace(/^error: /, '');
    process.stdout.write(`${JSON.stringify({ error: { code: 'CONFIG_USAGE', message, details: {} } })}\n`);
  }
}
