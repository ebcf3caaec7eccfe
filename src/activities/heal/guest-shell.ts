import { NixproofError } from '../../domain/error.js';
import type { ExecResult, Machine, Work } from '../../machines/machine.js';

/** Commands in a machine by the way in that works: SSH, or the console where the network is dead. */
export interface GuestShell {
  readonly way: 'ssh' | 'console';
  exec(argv: readonly string[], options?: { readonly timeoutMs?: number }): Promise<ExecResult>;
}

/** One argument of a command has 128 KiB (execve(2)), of which base64 takes a quarter. */
const MAX_FILE_BYTES = 90 * 1024;

/** @throws NixproofError `TRANSPORT_*` where no way in works */
export async function openShell(machine: Machine, work: Work): Promise<GuestShell> {
  const { signal } = work;
  try {
    const connection = await machine.connect(work);
    return { way: 'ssh', exec: (argv, options) => connection.exec(argv, { ...options, signal }) };
  } catch (error) {
    const { console } = machine;
    const dead = error instanceof NixproofError && error.code.startsWith('TRANSPORT_');
    if (!dead || !console) throw error;
    work.progress('SSH is dead: going in through the console');
    return { way: 'console', exec: (argv, options) => console.exec(argv, { ...options, signal }) };
  }
}

/** Writes a small file in the machine whole. It keeps the mode of the one it replaces. @throws NixproofError `MACHINE_WRITE_FAILED` */
export async function putText(shell: GuestShell, file: string, content: string): Promise<void> {
  const bytes = Buffer.from(content);
  if (bytes.length > MAX_FILE_BYTES) {
    throw new NixproofError('MACHINE_WRITE_FAILED', `${file} is too large for a heal: ${bytes.length} bytes`);
  }
  const script = `mkdir -p "$(dirname "$1")" && { [ ! -e "$1" ] || cp -p "$1" "$1.tmp"; } && printf %s "$2" | base64 -d >"$1.tmp" && mv "$1.tmp" "$1"`;
  const { exitCode, stderr, stdout } = await shell.exec(['sh', '-c', script, 'sh', file, bytes.toString('base64')]);
  if (exitCode === 0) return;
  const said = (stderr || stdout).trim();
  throw new NixproofError('MACHINE_WRITE_FAILED', `cannot write ${file} in the machine: ${said}`);
}
