import { randomBytes } from 'node:crypto';
import { messageOf } from '../domain/error.js';
import type { MachineShape } from '../domain/profile.js';
import type { AcceleratorProof } from '../machines/hypervisor/accelerator.js';
import type { Session } from './session.js';

/** What one check of the host found. */
export interface Finding {
  /** `optional`: absent, and nothing is wrong without it. */
  readonly status: 'ok' | 'missing' | 'broken' | 'optional';
  readonly detail: string;
  /** The command, or the one step, that mends it. */
  readonly fix?: string;
  /** How it was proved, where there is a proof. */
  readonly proof?: string;
}

/**
 * Timeout of a clone, milliseconds: one answers within seconds, also emulated. Longer than an
 * accelerator is given to show a sign of life: a clone finds out about that too.
 */
const CLONE_MS = 120_000;

/** What executes the instructions of machines here, and how that was proved. */
export async function accelerator({ signal }: Session): Promise<Finding> {
  const { findInstallation } = await import('../machines/hypervisor/installation.js');
  const found = await findInstallation(signal);
  const { accelerator: name, acceleratorReason: reason, remedy, chosen, proof } = found;
  const proved = proof ? provedBy(proof, found.version) : 'no Linux guest has run on it since this host booted';
  const seen = { proof: proof ? proved : '' };
  if (chosen || name !== 'tcg') {
    const why = reason === undefined ? '' : ` (${reason})`;
    return { ...seen, status: 'ok', detail: `${name}${why}: ${proved}` };
  }
  return {
    ...seen,
    status: remedy === undefined ? 'broken' : 'missing',
    detail: `tcg: ${reason}; machines are emulated, about ten times slower: ${proved}`,
    fix: remedy ?? 'on a virtual host: turn nested virtualisation on',
  };
}

function provedBy({ base, kernel, at }: AcceleratorProof, version: string): string {
  return `${base} ran with Linux ${kernel} on QEMU ${version} at ${at}`;
}

/** The UEFI firmware that machines get. */
export async function firmware(): Promise<Finding> {
  const { findUefi } = await import('../machines/hypervisor/firmware.js');
  const found = await findUefi();
  if (found) return { status: 'ok', detail: found.code };
  return { status: 'missing', detail: 'no OVMF: machines boot with BIOS only', fix: 'sudo apt-get install ovmf' };
}

/**
 * Whether machines can be made from a base: if its template is frozen, a clone is started and must
 * answer.
 */
export async function base(session: Session, name: string): Promise<Finding> {
  const { layout, signal } = session;
  const fix = `nixproof setup --base ${name}`;
  const { baseFor } = await import('../bases/registry.js');
  const image = await baseFor(name, layout).find();
  if (!image) return { status: 'optional', detail: 'not prepared on this host', fix };
  const { findInstallation } = await import('../machines/hypervisor/installation.js');
  const { DEFAULT_SHAPE, templateRequest } = await import('../machines/qemu/prepare.js');
  const { hasTemplate } = await import('../machines/qemu/template.js');
  const request = await templateRequest(layout, image, DEFAULT_SHAPE, await findInstallation(signal));
  if (await hasTemplate(request)) return clone(session, name, request.shape);
  return { status: 'missing', detail: 'prepared, but no template of this QEMU and accelerator is frozen', fix };
}

async function clone({ layout, signal, progress }: Session, name: string, shape: MachineShape): Promise<Finding> {
  const { withLock } = await import('../host/lock.js');
  const { makingLock } = await import('../machines/by-hand.js');
  const { createQemuDriver } = await import('../machines/qemu/driver.js');
  const driver = createQemuDriver({ layout });
  const id = `doctor-${randomBytes(4).toString('hex')}`;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CLONE_MS)]);
  // Without the lock a `nixproof cleanup` at the same time would take it for one left half made.
  return withLock(makingLock(layout, id), { signal }, async (): Promise<Finding> => {
    const started = performance.now();
    try {
      await using machine = await driver.create({ id, base: name, shape }, { signal: limit, progress });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      return { status: 'ok', detail: `a clone answered after ${seconds} s: ${machine.detail}` };
    } catch (error) {
      signal.throwIfAborted();
      const detail = limit.aborted ? `no clone answered within ${CLONE_MS / 1000} s` : `no clone: ${messageOf(error)}`;
      return { status: 'broken', detail, fix: `nixproof vm start --base ${name} --verbose` };
    } finally {
      await driver.destroy(id, { signal, progress });
    }
  });
}
