import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { deployTree } from '../../../../src/activities/deploy/deploy.js';
import { NixproofError } from '../../../../src/domain/error.js';
import { NOBODY } from '../../host/tree/as-user.js';
import { localMachine } from '../local-machine.js';
import { fillFolder, makePipes, MISCHIEF, randomOf, snapshotOf } from './random-tree.js';

/** How many random trees are deployed, some at a time; 1,000 take a minute. */
const TREES = Number(process.env['NIXPROOF_TEST_TREES'] ?? 200);
const TOGETHER = 25;
const SEED = Number(process.env['NIXPROOF_TEST_SEED'] ?? 20261130);

const batches = Array.from({ length: Math.ceil(TREES / TOGETHER) }, (_, index) => SEED + index);

/**
 * Trees of one seed, side by side in one folder, with a file that something happens to: never, once
 * after the folder was listed, or each time. Half of the machines are a normal user's.
 */
test.each(batches)(
  'random trees of seed %i are deployed as they are, or refused by name',
  { timeout: 180_000 },
  async (seed) => {
    const random = randomOf(seed);
    const root = mkdtempSync(path.join(tmpdir(), 'np-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const [from, to] = [path.join(root, 'from'), path.join(root, 'there/to')];
    for (const folder of [from, path.join(root, 'there')]) mkdirSync(folder);
    const uid = process.geteuid?.() === 0 && random.chance(0.5) ? NOBODY : undefined;
    if (uid !== undefined) chownSync(path.join(root, 'there'), uid, uid);
    chmodSync(root, 0o755);
    for (let tree = 0; tree < TOGETHER; tree++) {
      mkdirSync(path.join(from, `${tree}`));
      makePipes(fillFolder(random, Buffer.from(path.join(from, `${tree}`))));
    }
    const socket = createServer().listen(path.join(from, 'socket'));
    await once(socket, 'listening');
    onTestFinished(() => void socket.close());

    const moving = path.join(from, 'moving');
    writeFileSync(moving, random.bytes(400));
    const mischief = random.one(Object.keys(MISCHIEF));
    const times = random.one([0, 0, 1, 2]);
    let happened = 0;
    const seen = [snapshotOf(from)];
    const happen = () => {
      if (happened >= times) return;
      happened += 1;
      writeFileSync(`${moving}-${happened}`, 'came later: no part of what was listed');
      MISCHIEF[mischief]?.(moving);
      seen.push(snapshotOf(from));
    };
    const early = random.chance(0.5);
    const work = {
      signal: new AbortController().signal,
      progress: (text: string) => (early && text.startsWith('copying') ? happen() : undefined),
    };
    const isUnpacking = (script: string) => script.includes('mkdir -p "$to.new"');
    const machine = localMachine((script) => (!early && isUnpacking(script) ? happen() : undefined), uid);

    try {
      const deployed = await deployTree(machine, { from, to, exclude: ['moving-?', '/socket'] }, root + '/home', work);
      expect(deployed.files).toBeGreaterThan(0);
      const whole = snapshotOf(to);
      expect(seen.map(withoutLater)).toContainEqual(withoutLater(whole));
    } catch (error) {
      if (!(error instanceof NixproofError)) throw error;
      expect(times).toBeGreaterThan(0);
      expect(error.code).toBe('CONFIG_DEPLOY_CHANGED');
      const names = error.details['names'] as string[];
      expect(names.filter((name) => /^moving(\/|$)/.test(name))).toEqual(names);
      expect(names).not.toEqual([]);
    }
  },
);

/** The root's own time changes when a file comes into it. */
function withoutLater(snapshot: Record<string, string>): Record<string, string> {
  const entries = Object.entries(snapshot).filter(([name]) => name !== '' && !/^moving-\d$/.test(name));
  return Object.fromEntries(entries);
}
