import { expect, test } from 'vitest';
import { createSemaphore } from '../../../src/host/semaphore.js';

const { signal: never } = new AbortController();

/** A body that goes on until it is told to end. */
function held() {
  let end: () => void = () => undefined;
  let begun = false;
  const ended = new Promise<void>((resolve) => (end = resolve));
  return {
    body: () => ((begun = true), ended),
    end: () => end(),
    get begun() {
      return begun;
    },
  };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('so many go on at a time, the others in the order in which they came', async () => {
  const turns = createSemaphore(2);
  const all = [held(), held(), held(), held()];
  const before: number[] = [];
  const running = all.map(({ body }) => turns.run(never, body, (count) => before.push(count)));
  await settled();
  expect(all.map(({ begun }) => begun)).toEqual([true, true, false, false]);
  expect(before).toEqual([0, 1]);
  all[1]?.end();
  await settled();
  expect(all.map(({ begun }) => begun)).toEqual([true, true, true, false]);
  for (const one of all) one.end();
  await Promise.all(running);
  expect(all[3]?.begun).toBe(true);
});

test('one that fails gives its turn back', async () => {
  const turns = createSemaphore(1);
  await expect(turns.run(never, () => Promise.reject(new Error('it failed')))).rejects.toThrow('it failed');
  expect(await turns.run(never, () => Promise.resolve('done'))).toBe('done');
});

test('one that is cancelled while it waits never begins, and takes nobody’s turn', async () => {
  const turns = createSemaphore(1);
  const [first, second, third] = [held(), held(), held()];
  const cancel = new AbortController();
  const running = turns.run(never, first.body);
  const waiting = turns.run(cancel.signal, second.body);
  const last = turns.run(never, third.body);
  cancel.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow('cancelled');
  first.end();
  third.end();
  await Promise.all([running, last]);
  expect([second.begun, third.begun]).toEqual([false, true]);
});
