import { NixproofError } from '../../domain/error.js';
import { waitUntil } from '../../host/process.js';
import type { Qmp } from './qmp.js';

const MIGRATION_MS = 60_000;

/** Leaves the memory out of the stream: both sides have it in the same file (QEMU's capability x-ignore-shared). */
export async function shareMemory(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] });
}

/** Waits for a migration, out or in, to be complete. @throws NixproofError `MACHINE_MIGRATION` */
export async function migrationEnd(qmp: Qmp, signal: AbortSignal): Promise<void> {
  let last: { status?: string; 'error-desc'?: string } = {};
  const ended = await waitUntil(
    async () => {
      last = (await qmp.execute('query-migrate')) as typeof last;
      return last.status === 'completed' || last.status === 'failed';
    },
    MIGRATION_MS,
    { everyMs: 5, signal },
  );
  if (ended && last.status === 'completed') return;
  throw new NixproofError(
    'MACHINE_MIGRATION',
    `the machine's state could not be moved: ${last['error-desc'] ?? last.status ?? 'no answer'}`,
  );
}

/**
 * Makes disks writable for the monitor before the guest runs. Since QEMU 10 they are inactive from
 * the end of an incoming migration until `cont` (QMP reference: blockdev-set-active); QEMU without
 * that command has them active.
 */
export async function activateDisks(qmp: Qmp): Promise<void> {
  const commands = (await qmp.execute('query-commands')) as readonly { readonly name: string }[];
  if (!commands.some(({ name }) => name === 'blockdev-set-active')) return;
  await qmp.execute('blockdev-set-active', { active: true });
}
