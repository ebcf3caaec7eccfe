import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import type { ExecOptions, ExecResult, Machine } from '../../../src/machines/machine.js';

/** Called before each command: here a test changes what is being copied. */
export type BeforeCommand = (script: string) => Promise<void> | void;

/**
 * A machine whose commands are processes of this host, without SSH. Paths are those of this host.
 * @param uid whose processes
 */
export function localMachine(before: BeforeCommand = () => undefined, uid?: number): Machine {
  const exec = async (argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> => {
    await before(argv[2] ?? '');
    return run(argv, options, uid);
  };
  const machine = { connect: () => Promise.resolve({ exec }), resolvePath: (path: string) => path };
  return machine as unknown as Machine;
}

async function run(argv: readonly string[], { input }: ExecOptions, uid?: number): Promise<ExecResult> {
  const [, ...args] = argv;
  const child = spawn('/bin/sh', args, { stdio: 'pipe', ...(uid === undefined ? {} : { uid }) });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => undefined);
  if (input instanceof Readable) input.pipe(child.stdin);
  else child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ exitCode: code ?? 255, ...output }));
  });
}
