import { rm } from 'node:fs/promises';
import { NixproofError, messageOf, type ErrorCode, type ErrorDetails } from '../../domain/error.js';
import { readJson, writeJson } from '../../host/files.js';
import { isAlive, type ProcessIdentity } from '../../host/process.js';
import { requireOwnInstallation, type Installation } from './installation.js';
import type { StackFiles } from '../stack-files.js';

/** `stack.json`: a stack that is ready. */
export interface StackRecord {
  readonly installation: Installation;
  readonly holder: ProcessIdentity;
  readonly server: ProcessIdentity;
  readonly worker: ProcessIdentity;
  /** `127.0.0.1:PORT`, the gRPC frontend. */
  readonly address: string;
  readonly uiUrl: string;
  /** Of the server, as it says itself. */
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** `children.json`: what a holder has started, whether it is ready or not. */
export interface ChildrenRecord {
  readonly server?: ProcessIdentity;
  readonly worker?: ProcessIdentity;
}

/** `failure.json`: for whoever waits for that holder. */
interface HolderFailure {
  readonly holder: ProcessIdentity;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly details: ErrorDetails;
}

/** The stack that is ready now: its holder lives (and starts its server again where that dies). */
export async function readLiveRecord(files: StackFiles): Promise<StackRecord | undefined> {
  const record = await readJson<StackRecord>(files.record);
  return record && (await isAlive(record.holder)) ? record : undefined;
}

/** The same, of this installation. @throws NixproofError `SERVER_OTHER_INSTALLATION` */
export async function readOwnRecord(files: StackFiles): Promise<StackRecord | undefined> {
  const record = await readLiveRecord(files);
  if (record) await requireOwnInstallation(record);
  return record;
}

export async function writeFailure(files: StackFiles, holder: ProcessIdentity, error: unknown): Promise<void> {
  const known = error instanceof NixproofError ? error : undefined;
  const failure: HolderFailure = {
    holder,
    code: known?.code ?? 'INTERNAL_STACK',
    message: messageOf(error),
    ...(known?.hint === undefined ? {} : { hint: known.hint }),
    details: known?.details ?? {},
  };
  await writeJson(files.failure, failure);
}

/** Why that holder gave up, as it said itself; undefined where it said nothing. */
export async function readFailure(files: StackFiles, holder: ProcessIdentity): Promise<NixproofError | undefined> {
  const failure = await readJson<HolderFailure>(files.failure);
  if (failure?.holder.pid !== holder.pid || failure.holder.startedAt !== holder.startedAt) return undefined;
  const { code, message, hint, details } = failure;
  return new NixproofError(code, message, { details, ...(hint === undefined ? {} : { hint }) });
}

export async function removeRecord(files: StackFiles): Promise<void> {
  await rm(files.record, { force: true });
}
