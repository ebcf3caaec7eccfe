import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Arena } from '../test/torture/arena.js';

const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/**
 * Runs `nixproof` of this checkout against an arena, to its end.
 * @param onText gets its standard output as it comes
 */
export function nixproof(
  { layout, address }: Pick<Arena, 'layout' | 'address'>,
  cwd: string,
  args: readonly string[],
  onText?: (text: string) => void,
): Promise<{ readonly exit: number | null; readonly stdout: string; readonly seconds: number }> {
  const env = { ...process.env, NIXPROOF_HOME: layout.home, TEMPORAL_ADDRESS: address, NO_COLOR: '1' };
  const since = performance.now();
  const child = spawn(process.execPath, [CLI, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'ignore'] });
  const output: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.push(text);
    onText?.(text);
  });
  return new Promise((resolve) =>
    child.once('close', (exit) =>
      resolve({ exit, stdout: output.join(''), seconds: (performance.now() - since) / 1000 }),
    ),
  );
}
