import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { Endpoint, Machine } from '../../machines/machine.js';
import type { Session } from '../session.js';

/**
 * A shell in a machine, or a command there, in the foreground; gives its exit status. GitHub's runner
 * is told to obey nothing that it prints.
 * @throws NixproofError `HOST_TOOL_MISSING`
 */
export async function logIn(machine: Machine, command: readonly string[], work: Session): Promise<number> {
  // Connecting once pins a host key that is still unknown.
  await machine.connect(work);
  work.quote();
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-ssh-'));
  try {
    return await runSsh(await machine.endpoint(), path.join(folder, 'known_hosts'), command);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** OpenSSH's client, with our key and the pinned host key. */
async function runSsh(endpoint: Endpoint, knownHosts: string, command: readonly string[]): Promise<number> {
  const { quote } = await import('../../machines/quote.js');
  const { knownHostsLine } = await import('../../machines/known-hosts.js');
  const { host, port, user, keyFile } = endpoint;
  await writeFile(knownHosts, knownHostsLine(endpoint));
  const options = [
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    'IdentitiesOnly=yes',
    'LogLevel=ERROR',
  ];
  const args = ['-p', String(port), '-i', keyFile, ...options.flatMap((option) => ['-o', option]), `${user}@${host}`];
  const remote = command.length > 0 ? ['--', quote(command)] : [];
  return new Promise((resolve, reject) => {
    const child = spawn('ssh', [...args, ...remote], { stdio: 'inherit' });
    child.on('exit', (code) => resolve(code ?? 255));
    child.on('error', (cause) => reject(new NixproofError('HOST_TOOL_MISSING', 'ssh is not installed', { cause })));
  });
}
