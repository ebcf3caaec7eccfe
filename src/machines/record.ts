import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { isName, parseName } from '../domain/names.js';
import { readJson, writeJson } from '../host/files.js';
import type { Layout } from '../host/paths.js';
import type { MachineInfo } from './machine.js';

/**
 * The folder of one machine: nothing outside the machines' folder is ever a machine's.
 * @throws NixproofError `CONFIG_NAME`
 */
export function machineFolder(layout: Layout, id: string): string {
  return path.join(layout.machines, parseName(id, 'machine'));
}

/** What `machines/<id>/machine.json` says; every driver's record extends MachineInfo. Undefined where it was never finished. */
export async function readRecord<T extends MachineInfo>(layout: Layout, id: string): Promise<T | undefined> {
  return readJson<T>(path.join(machineFolder(layout, id), 'machine.json'));
}

export async function writeRecord(layout: Layout, record: MachineInfo): Promise<void> {
  await writeJson(path.join(machineFolder(layout, record.id), 'machine.json'), record, 0o600);
}

/** The ids of all machine folders on this host, half-made ones too. */
export async function machineIds(layout: Layout): Promise<string[]> {
  const entries = await readdir(layout.machines, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && isName(entry.name)).map((entry) => entry.name);
}
