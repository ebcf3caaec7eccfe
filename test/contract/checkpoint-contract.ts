import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { processesWithEnvironment, waitUntil } from '../../src/host/process.js';
import type { Checkpoints, Connection, Machine } from '../../src/machines/machine.js';
import type { Driver } from '../../src/machines/machine.js';
import type { Context } from './machine-contract.js';
import { comparesShown, contractTitles, DRIVERS } from '../shown.js';

const LONG_MS = 5 * 60_000;

/** What every machine with checkpoints keeps. One machine for all of it. */
export function checkpointContract(context: () => Context & { readonly makeDriver: () => Driver }): void {
  describe('checkpoints', { timeout: LONG_MS }, () => {
    let machine: Machine;
    let connection: Connection;

    const shown = comparesShown(
      DRIVERS,
      () => context().driver.name,
      () => contractTitles('checkpoint-contract.ts'),
    );
    afterEach(({ task }) => {
      if (task.result?.state === 'pass') shown(task.name);
    });

    const checkpoints = (): Checkpoints => {
      if (!machine.checkpoints) throw new Error('this machine has no checkpoints');
      return machine.checkpoints;
    };
    const sh = async (script: string, ...args: string[]) => {
      const result = await connection.exec(['sh', '-c', script, 'sh', ...args]);
      expect(result).toMatchObject({ exitCode: 0 });
      return result.stdout.trim();
    };
    const restore = async (name: string) => {
      await checkpoints().restore(name, context().work);
      connection = await machine.connect(context().work);
    };
    /** Memory, a file system and a raw disk, each as it stands. */
    const state = () =>
      sh('cat /run/in-memory /root/on-disk; head -c 6 "$1"; ps -o comm= -p "$(cat /run/pid)"', disk());
    const disk = () => machine.disks[0] ?? '';
    const write = (word: string) =>
      sh(
        'echo "$2" >/run/in-memory; echo "$2" >/root/on-disk; printf %s "$2" | dd of="$1" conv=fsync 2>/dev/null; sync',
        disk(),
        word,
      );

    beforeAll(async () => {
      const { driver, request, work } = context();
      machine = await driver.create(request, work);
      connection = await machine.connect(work);
      await sh('setsid sleep 100000 </dev/null >/dev/null 2>&1 & echo $! >/run/pid');
    }, LONG_MS);
    afterAll(async () => {
      const { driver, request, work } = context();
      await machine[Symbol.asyncDispose]();
      await driver.destroy(request.id, work);
    }, LONG_MS);

    test('memory, disks and processes come back as they were', async () => {
      await write('first!');
      const first = await state();
      expect(first).toBe('first!\nfirst!\nfirst!sleep');
      await checkpoints().take('a1-p1', context().work);
      await write('second');
      await checkpoints().take('a1-p2', context().work);
      await write('third!');
      await sh('kill "$(cat /run/pid)"');
      await restore('a1-p1');
      expect(await state()).toBe(first);
      await restore('a1-p2');
      expect(await state()).toBe('second\nsecond\nsecondsleep');
      expect((await checkpoints().list()).map(({ name }) => name)).toEqual(['a1-p1', 'a1-p2']);
    });

    test('a name that is taken stays what it was', async () => {
      const [before] = await checkpoints().list();
      await write('other!');
      expect(await checkpoints().take('a1-p1', context().work)).toEqual(before);
      await restore('a1-p1');
      expect(await state()).toMatch(/^first!/);
    });

    test('the clock is right and the entropy fresh', async () => {
      const random: string[] = [];
      for (let round = 0; round < 2; round++) {
        await restore('a1-p1');
        random.push(await sh('head -c 16 /dev/urandom | od -An -tx1'));
        const seconds = Number(await sh('date +%s'));
        expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(30);
      }
      expect(random[0]).not.toBe(random[1]);
    });

    test('it comes back after its process was killed, to another process of ours too', async () => {
      const { driver, makeDriver, request, work } = context();
      for (const { pid } of await processesWithEnvironment('NIXPROOF_MACHINE', request.id))
        process.kill(pid, 'SIGKILL');
      expect(await waitUntil(async () => !(await machine.isRunning()), 10_000)).toBe(true);
      expect((await driver.list()).find(({ id }) => id === request.id)).toMatchObject({ state: 'stopped' });
      await machine[Symbol.asyncDispose]();
      machine = await makeDriver().attach(request.id, work);
      await expect(machine.connect(work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
      await restore('a1-p2');
      expect(await state()).toBe('second\nsecond\nsecondsleep');
      expect(await machine.isRunning()).toBe(true);
    });

    test('a fork goes on from a checkpoint in a machine of its own, and leaves this one as it is', async (task) => {
      const { driver, request, work } = context();
      const { fork } = checkpoints();
      if (!fork) return task.skip('this driver cannot fork machines');
      await restore('a1-p2');
      await write('later!');
      const id = `${request.id}-r1`;
      try {
        expect(await fork('a1-p1', id, work)).toBe(true);
        expect(await fork('a1-p1', id, work)).toBe(true);
        await using copy = await driver.attach(id, work);
        const other = await copy.connect(work);
        const there = await other.exec(['cat', '/run/in-memory', '/root/on-disk']);
        expect(there.stdout).toBe('first!\nfirst!\n');
        await other.exec(['sh', '-c', 'echo forked >/root/on-disk; sync']);
        expect(await state()).toMatch(/^later!\nlater!\nlater!/);
        await copy.checkpoints?.restore('a1-p2', work);
        expect((await (await copy.connect(work)).exec(['cat', '/root/on-disk'])).stdout).toBe('second\n');
      } finally {
        await driver.destroy(id, work);
      }
      expect(await machine.isRunning()).toBe(true);
      await restore('a1-p2');
    });

    test('one that was never taken is named', async () => {
      await expect(checkpoints().restore('a9-p9', context().work)).rejects.toMatchObject({
        code: 'MACHINE_CHECKPOINT_MISSING',
        message: expect.stringContaining('a9-p9') as string,
      });
    });
  });
}
