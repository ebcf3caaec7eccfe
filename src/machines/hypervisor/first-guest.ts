import { open } from 'node:fs/promises';
import { hasCode, messageOf, NixproofError } from '../../domain/error.js';
import { type Boot, waitForBoot } from '../boot.js';
import type { Connection, Work } from '../machine.js';
import { acquit, prove, refute } from './accelerator.js';
import type { Installation } from './installation.js';

/** A guest that may be the first to run under its accelerator. */
export interface Guest {
  readonly installation: Installation;
  /** What it boots, for people. */
  readonly base: string;
  /**
   * What it must show in time: its kernel's first line on the serial console, an answer over SSH,
   * or nothing.
   */
  readonly sign: 'kernel' | 'answer' | 'none';
}

/** The first line that a Linux kernel prints. Firmware prints on the serial console too. */
const KERNEL_RUNS = 'Linux version ';
/** Firmware's own output before that line is a few KiB. */
const CONSOLE_BYTES = 256 * 1024;

/**
 * Waits for a boot as `waitForBoot` does. A guest that answers proves its accelerator; until one
 * has, a guest that does not show its sign in time shows that the accelerator runs no guests.
 * @throws NixproofError `HOST_ACCELERATOR_HANGS`, and as `waitForBoot` does
 */
export async function waitForGuest(boot: Boot, guest: Guest, work: Work): Promise<Connection> {
  const { host, version, accelerator, proof } = guest.installation;
  if (proof) return waitForBoot(boot, work);
  const connection =
    accelerator === 'tcg' || guest.sign === 'none' ? await waitForBoot(boot, work) : await watched(boot, guest, work);
  try {
    const kernel = (await connection.exec(['uname', '-r'], { signal: work.signal })).stdout.trim();
    await prove(host, version, accelerator, { base: guest.base, kernel, at: new Date().toISOString() });
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Starts a QEMU. If it does not start on an accelerator that no guest has proved, the accelerator
 * is taken for the cause.
 * @throws NixproofError `HOST_ACCELERATOR_HANGS`, and as `start` does
 */
export async function startGuest<T>(installation: Installation, start: () => Promise<T>): Promise<T> {
  const { accelerator, proof } = installation;
  try {
    return await start();
  } catch (error) {
    if (!didNotStart(error) || accelerator === 'tcg' || proof) throw error;
    const reason = `${accelerator} is there, but QEMU does not run on it: ${messageOf(error)}`;
    throw hangs(installation, reason, error);
  }
}

async function watched(boot: Boot, guest: Guest, work: Work): Promise<Connection> {
  const { silenceMs } = guest.installation.host;
  const end = performance.now() + silenceMs;
  let hasSign = false;
  const look = async () => (hasSign ||= guest.sign === 'kernel' && (await hasKernel(boot.consoleLog)));
  try {
    return await waitForBoot(
      {
        ...boot,
        ...(guest.sign === 'answer' ? { deadlineMs: Math.min(boot.deadlineMs, silenceMs) } : {}),
        async onWait(waiting) {
          await boot.onWait?.(waiting);
          if (performance.now() > end && !(await look())) throw new Error('no sign of its kernel');
        },
      },
      work,
    );
  } catch (error) {
    const neverBooted = hasCode(error, 'MACHINE_NEVER_BOOTED');
    if (!neverBooted || (await look())) throw error;
    throw hangs(guest.installation, silence(guest, performance.now() > end), error);
  }
}

function silence({ base, sign, installation }: Guest, late: boolean): string {
  const { accelerator, host } = installation;
  const what = sign === 'kernel' ? `the kernel of ${base} printed nothing` : `a clone of ${base} did not answer`;
  return `${accelerator} is there, but runs no Linux: ${what} ${late ? `for ${host.silenceMs / 1000} s` : 'before QEMU ended'}`;
}

async function hasKernel(consoleLog: string): Promise<boolean> {
  const handle = await open(consoleLog).catch(() => undefined);
  if (!handle) return false;
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(CONSOLE_BYTES), position: 0 });
    return buffer.toString('latin1', 0, bytesRead).includes(KERNEL_RUNS);
  } finally {
    await handle.close();
  }
}

/** The error of an accelerator whose guests hang. */
export function hangs({ accelerator }: Installation, reason: string, cause?: unknown): NixproofError {
  return new NixproofError('HOST_ACCELERATOR_HANGS', reason, {
    hint: 'unset NIXPROOF_ACCELERATOR and `machine.accelerator`: then guests are emulated where nothing else runs them',
    details: { accelerator },
    cause,
  });
}

/**
 * Runs `body` with what `find` finds. If a guest shows that the accelerator runs none, that is
 * remembered, unless another process has found out otherwise, and `body` runs again with what is
 * found then. An accelerator that the user named is not replaced.
 */
export async function withAccelerator<F, T>(
  find: () => Promise<F>,
  installationOf: (found: F) => Installation,
  { progress }: Work,
  body: (found: F) => Promise<T>,
): Promise<T> {
  const found = await find();
  const { host, version, accelerator, chosen } = installationOf(found);
  try {
    return await body(found);
  } catch (error) {
    if (!hasCode(error, 'HOST_ACCELERATOR_HANGS') || chosen) throw error;
    const now = installationOf(await find());
    if (now.accelerator === accelerator && !now.proof) {
      await refute(host, version, error.message);
      progress(`${error.message}. Emulating instead`);
    }
    try {
      return await body(await find());
    } catch (again) {
      // QEMU that does not start emulated either has another reason.
      if (didNotStart(error.cause) && didNotStart(again)) await acquit(host, version);
      throw again;
    }
  }
}

function didNotStart(error: unknown): boolean {
  return hasCode(error, 'MACHINE_QEMU_FAILED');
}
