import { NixproofError } from '../../domain/error.js';
import { runCommand } from '../../host/process.js';

/**
 * System calls that a QEMU taken over by its guest may not make: no programs are started, no rights
 * or priorities changed (qemu(1), `-sandbox`).
 */
const SANDBOX = ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'];
/**
 * A QEMU without a machine, which quits when it is asked to. Of two accelerators it takes the first
 * that it has; by itself the emulator would ask for 1 GiB of memory.
 */
const TRIAL = [
  ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'none', '-qmp', 'stdio'],
  ...['-accel', 'tcg,tb-size=8', '-accel', 'kvm'],
];
const GOODBYE = '{"execute":"qmp_capabilities"}{"execute":"quit"}';
const TRIAL_MS = 20_000;
const trials = new Map<string, Promise<boolean>>();

/**
 * Whether a QEMU can confine itself here: its build and this kernel know seccomp. Each process finds
 * it out once.
 * @throws NixproofError `HOST_COMMAND_FAILED` if QEMU did not say so or otherwise, on a host under
 * load for example
 */
export async function isConfinable(binary: string): Promise<boolean> {
  const trial = trials.get(binary) ?? tryOut(binary);
  trials.set(binary, trial);
  trial.catch(() => trials.delete(binary));
  return trial;
}

async function tryOut(binary: string): Promise<boolean> {
  const quits = (...more: string[]) => runCommand(binary, [...TRIAL, ...more], { input: GOODBYE, timeoutMs: TRIAL_MS });
  try {
    await quits(...SANDBOX);
    return true;
  } catch (error) {
    // One that is killed, at its time limit for example, has refused nothing.
    if (!(error instanceof NixproofError) || !(Number(error.details['exitCode']) > 0)) throw error;
  }
  // Nor has one that cannot be started at all.
  await quits();
  return false;
}

/** The arguments that confine a QEMU; none where it cannot be confined. */
export async function confinement(binary: string): Promise<readonly string[]> {
  return (await isConfinable(binary)) ? SANDBOX : [];
}
