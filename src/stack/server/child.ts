import { spawn } from 'node:child_process';
import { NixproofError } from '../../domain/error.js';
import { identify, type ProcessIdentity } from '../../host/process.js';
import { openLog } from './logs.js';

/** A long-lived process whose output goes to a log file. */
export interface Child {
  readonly identity: ProcessIdentity;
  /** Resolves when it has ended, with how: `exit status 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Where its output begins in the log, bytes. */
  readonly logOffset: number;
}

export interface ChildCommand {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: string;
  /** A pipe to its standard input that closes when this process ends, however it ends. */
  readonly parentPipe: boolean;
  /** Whether it may go on after this process: then nothing here is kept waiting for it. */
  readonly outlivesUs: boolean;
}

/**
 * Starts a process in a session of its own, so that Ctrl-C in a terminal does not reach it before those who should end it in order.
 * @throws NixproofError `HOST_COMMAND_FAILED` where it cannot be started
 */
export async function startChild({ argv, cwd, env, log, parentPipe, outlivesUs }: ChildCommand): Promise<Child> {
  const [file = '', ...args] = argv;
  const { handle, offset } = await openLog(log);
  try {
    const stdio = [parentPipe ? 'pipe' : 'ignore', handle.fd, handle.fd] as const;
    const child = spawn(file, args, { cwd, env, detached: true, stdio: [...stdio] });
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (status, signal) => resolve(signal ?? `exit status ${status ?? -1}`));
      child.once('error', (error) => resolve(error.message));
    });
    if (outlivesUs) child.unref();
    const identity = child.pid === undefined ? undefined : await identify(child.pid);
    if (!identity) {
      throw new NixproofError('HOST_COMMAND_FAILED', `${file} could not be started: ${await ended}`, {
        details: { command: argv.join(' ') },
      });
    }
    return { identity, ended, logOffset: offset };
  } finally {
    await handle.close();
  }
}
