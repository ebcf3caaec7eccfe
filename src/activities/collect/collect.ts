import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FULL_DISK_HINT, NixproofError, messageOf } from '../../domain/error.js';
import type { Verdict } from '../../domain/verdict.js';
import { makeFolder, isErrno } from '../../host/files.js';
import { isFull } from '../../host/disk-space.js';
import type { Screen, Work } from '../../machines/machine.js';
import { redacting } from '../../secrets/redacting.js';
import type { Redactor } from '../../secrets/redactor.js';
import type { StepContext } from '../step/context.js';

/** What is worth keeping of the machine's last state: file name → command, cut off at `MAX_BYTES`. */
const COLLECTED: readonly { readonly file: string; readonly argv: readonly string[] }[] = [
  { file: 'journal.log', argv: ['journalctl', '--no-pager', '-b'] },
  { file: 'dmesg.log', argv: ['dmesg'] },
  { file: 'failed-units.txt', argv: ['systemctl', 'list-units', '--failed', '--no-pager'] },
  { file: 'disks.txt', argv: ['lsblk', '--output', 'NAME,SIZE,TYPE,FSTYPE,LABEL,UUID,MOUNTPOINTS'] },
  { file: 'mounts.txt', argv: ['findmnt', '--noheadings'] },
];
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Brings what there is into the run's folder, its screen too where the run went wrong. A machine
 * that no longer answers gives its console only; a command it does not have gives nothing. The
 * sandbox is this host, whose journal is not collected. Secrets are masked, but for those on the
 * screen.
 */
export async function collectFrom(
  { machine, files, work, secrets: { redactor } }: Pick<StepContext, 'machine' | 'files' | 'work' | 'secrets'>,
  verdict: Verdict,
): Promise<void> {
  const { consoleLog } = machine;
  if (consoleLog !== undefined) await keepWhole(files.console, () => copyIfThere(consoleLog, files.console, redactor));
  if (machine.info.driver === 'sandbox' || !(await machine.isRunning())) return;
  if (machine.screen && (verdict === 'failed' || verdict === 'error'))
    await capture(machine.screen, files.screen, work);
  await makeFolder(files.collected);
  try {
    const connection = await machine.connect({
      ...work,
      signal: AbortSignal.any([work.signal, AbortSignal.timeout(60_000)]),
    });
    for (const { file, argv } of COLLECTED) {
      work.progress(`collecting ${file}`);
      const command = `exec "$@" 2>&1 | head -c ${MAX_BYTES}`;
      const stream = await connection.stream(['sh', '-c', command, 'sh', ...argv], { signal: work.signal });
      const kept = path.join(files.collected, file);
      await keepWhole(kept, () => pipeline(stream, redacting(redactor), createWriteStream(kept)));
    }
  } catch (error) {
    // One that stands still for want of room is not waited for: it may be what fills the disk.
    const deaf = isFull(error) || (error instanceof NixproofError && error.code.startsWith('TRANSPORT_'));
    if (!deaf) throw error;
    work.progress(`the machine does not answer: ${messageOf(error)}`);
  }
}

/** Waiting for room would keep the machine, which may be what fills the disk. @throws NixproofError `HOST_DISK_FULL` */
async function keepWhole(file: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!isFull(error)) throw error;
    await rm(file, { force: true });
    throw new NixproofError(
      'HOST_DISK_FULL',
      `there is no room for ${path.basename(file)} and what was to be collected after it`,
      {
        hint: FULL_DISK_HINT,
        cause: error,
      },
    );
  }
}

/** A screen that cannot be had is no reason to leave out the rest. */
async function capture(screen: Screen, file: string, work: Work): Promise<void> {
  work.progress('taking a screenshot');
  try {
    await screen.screenshot(file, work);
  } catch (error) {
    if (!(error instanceof NixproofError)) throw error;
    work.progress(`no screenshot: ${error.message}`);
  }
}

async function copyIfThere(from: string, to: string, redactor: Redactor): Promise<void> {
  try {
    await pipeline(createReadStream(from), redacting(redactor), createWriteStream(to));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
