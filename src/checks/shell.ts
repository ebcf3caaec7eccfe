import { randomUUID } from 'node:crypto';
import type { Connection, ExecOptions, ExecResult } from '../machines/machine.js';

/** How a check's shell ended. */
export interface ShellResult extends Pick<ExecResult, 'exitCode' | 'stdout' | 'stderr'> {
  /** Names of processes that it started and that still ran when it had ended. Guest text: hostile. */
  readonly left: readonly string[];
}

/**
 * Runs `$1` in a shell of its own whose environment, and that of all it starts, holds `$2`: what
 * still runs when the shell has ended is found by that, a daemon in a session of its own too. Then
 * it prints the end mark, the exit status and their names.
 */
const SCRIPT = `NIXPROOF_CHECK=$2 sh -c "$1"; status=$?
printf '\\0%s\\n%s\\n' "$2" "$status"
limit=$(command -v timeout) && limit="$limit -s KILL 10"
for environ in $($limit grep -lF "NIXPROOF_CHECK=$2" /proc/[0-9]*/environ 2>/dev/null | head -n 20); do
  cat "\${environ%environ}comm" 2>/dev/null
done
printf '\\0'; printf '\\0%s\\0' "$2" >&2
exit "$status"`;

/** Runs a script to the end of its shell: a child left behind keeps running. */
export async function runShell(
  connection: Connection,
  script: string,
  options: Pick<ExecOptions, 'signal' | 'timeoutMs' | 'raw'>,
): Promise<ShellResult> {
  const mark = randomUUID();
  const { exitCode, stdout, stderr, parting } = await connection.exec(['sh', '-c', SCRIPT, 'sh', script, mark], {
    ...options,
    endMark: `\0${mark}`,
  });
  const [, status, ...names] = (parting ?? '').trimEnd().split('\n');
  const left = [...new Set(names)];
  return { exitCode: status === undefined ? exitCode : Number(status), stdout, stderr, left };
}
