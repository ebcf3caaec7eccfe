import { rm } from 'node:fs/promises';
import { writeJson } from '../../host/files.js';
import type { ProcessIdentity } from '../../host/process.js';
import { OWN_INSTALLATION } from '../membership/installation.js';
import { type ChildrenRecord, removeRecord, type StackRecord } from '../membership/record.js';
import type { StackFiles } from '../stack-files.js';

/** What stays the same as long as one holder holds. */
export type StackFacts = Pick<StackRecord, 'address' | 'uiUrl' | 'version'>;

/** What a holder lets others know of its stack: its children at once, the stack once it is ready. Disposing takes it all back. */
export interface StackRegistration extends AsyncDisposable {
  /** A child that was started, in place of the one before it. */
  note(children: ChildrenRecord): Promise<void>;
  publish(facts: StackFacts): Promise<StackRecord>;
  /** From now on nobody joins. */
  withdraw(): Promise<void>;
}

/** Call `publish` only after a server and a worker were noted. */
export function openRegistration(files: StackFiles, holder: ProcessIdentity): StackRegistration {
  const startedAt = new Date().toISOString();
  let children: ChildrenRecord = {};
  let published: StackFacts | undefined;
  // One change after the other: two children may be replaced at the same moment.
  let last: Promise<unknown> = Promise.resolve();
  const inOrder = <T>(change: () => Promise<T>): Promise<T> => {
    const next = last.then(change);
    last = next.catch(() => undefined);
    return next;
  };
  const write = async (facts: StackFacts): Promise<StackRecord> => {
    const { server = holder, worker = holder } = children;
    const record: StackRecord = { installation: OWN_INSTALLATION, holder, server, worker, ...facts, startedAt };
    await writeJson(files.record, record);
    return record;
  };
  const withdraw = () =>
    inOrder(async () => {
      published = undefined;
      await removeRecord(files);
    });
  return {
    note: (changed) =>
      inOrder(async () => {
        children = { ...children, ...changed };
        await writeJson(files.children, children);
        if (published) await write(published);
      }),
    publish: (facts) =>
      inOrder(() => {
        published = facts;
        return write(facts);
      }),
    withdraw,
    async [Symbol.asyncDispose]() {
      await withdraw();
      await rm(files.children, { force: true });
    },
  };
}
