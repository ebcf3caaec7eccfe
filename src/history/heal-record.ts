import { open } from 'node:fs/promises';
import path from 'node:path';
import type { FailureClass } from '../domain/diagnosis.js';
import type { HealCounts } from '../domain/heal.js';
import type { HealRecord } from '../domain/run.js';
import { makeFolder, readIfThere } from '../host/files.js';

/** How one heal turned out: a line of `records/heals.ndjson`. */
export interface HealOutcome {
  /** ISO 8601. */
  readonly at: string;
  readonly run: string;
  /** Counts up in its run; a line with the same run and number is the same outcome told twice. */
  readonly heal: number;
  readonly class: FailureClass;
  readonly name: string;
  readonly profile: string;
  readonly outcome: HealRecord['outcome'];
}

/** What became of every heal on this host, in any run. */
export function healRecordFile(home: string): string {
  return path.join(home, 'records', 'heals.ndjson');
}

/**
 * Adds one outcome: a single write at the file's end, which other processes' writes do not mix with. It is on the disk when
 * this resolves. A line that a crash tore is closed first, so that it takes no other along; so is one that another process
 * is about to finish, which leaves an empty line behind.
 */
export async function recordHeal(home: string, outcome: HealOutcome): Promise<void> {
  const file = healRecordFile(home);
  await makeFolder(path.dirname(file));
  const handle = await open(file, 'a+');
  try {
    const { size } = await handle.stat();
    const last = size === 0 ? '\n' : (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString();
    const line = Buffer.from(`${last === '\n' ? '' : '\n'}${JSON.stringify(outcome)}\n`);
    const { bytesWritten } = await handle.write(line);
    if (bytesWritten < line.length)
      throw new Error(`${file}: only ${bytesWritten} of ${line.length} bytes were written`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Every outcome once, oldest first; lines that are torn, or no outcome, are passed over. */
export async function readHealRecord(home: string): Promise<readonly HealOutcome[]> {
  const outcomes = new Map<string, HealOutcome>();
  for (const line of ((await readIfThere(healRecordFile(home))) ?? '').split('\n')) {
    const outcome = parsed(line);
    const key = `${outcome?.run ?? ''} ${outcome?.heal ?? ''}`;
    if (outcome !== undefined && !outcomes.has(key)) outcomes.set(key, outcome);
  }
  return [...outcomes.values()];
}

/** Looks up what is known of a heal for a class, over all profiles. What was rejected was not tried. */
export function healCounts(record: readonly HealOutcome[]): (name: FailureClass, heal: string) => HealCounts {
  const counts = new Map<string, HealCounts>();
  for (const { class: failureClass, name, outcome } of record) {
    if (outcome === 'rejected') continue;
    const key = `${failureClass} ${name}`;
    const { worked, notWorked } = counts.get(key) ?? NONE;
    counts.set(key, outcome === 'worked' ? { worked: worked + 1, notWorked } : { worked, notWorked: notWorked + 1 });
  }
  return (failureClass, heal) => counts.get(`${failureClass} ${heal}`) ?? NONE;
}

const NONE: HealCounts = { worked: 0, notWorked: 0 };
const OUTCOMES: ReadonlySet<unknown> = new Set<HealRecord['outcome']>(['worked', 'no-effect', 'failed', 'rejected']);

function parsed(line: string): HealOutcome | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as Partial<HealOutcome>;
    const isWhole = typeof value.run === 'string' && typeof value.heal === 'number' && OUTCOMES.has(value.outcome);
    return isWhole ? (value as HealOutcome) : undefined;
  } catch {
    return undefined;
  }
}
