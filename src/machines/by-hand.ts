import path from 'node:path';
import type { DriverName } from '../domain/profile.js';
import { readJson, writeJson } from '../host/files.js';
import type { Layout } from '../host/paths.js';
import type { MachineRequest } from './machine.js';
import { machineFolder } from './record.js';

/** What a machine was asked to be: what makes the same again. */
export interface MadeOf extends MachineRequest {
  readonly driver: DriverName;
}

/** Marks a machine that a person made: no run ever releases it. Kept in `machines/<id>/by-hand.json`, and gone with it. */
export async function markByHand(layout: Layout, made: MadeOf): Promise<void> {
  await writeJson(markOf(layout, made.id), made);
}

/** What a machine made by hand was asked to be; undefined where no person made it. */
export async function madeByHand(layout: Layout, id: string): Promise<MadeOf | undefined> {
  return readJson<MadeOf>(markOf(layout, id));
}

/** Held while a machine is made by hand or made anew: until then it looks like one that was left half made. */
export function makingLock(layout: Layout, id: string): string {
  return `${machineFolder(layout, id)}.lock`;
}

function markOf(layout: Layout, id: string): string {
  return path.join(machineFolder(layout, id), 'by-hand.json');
}
