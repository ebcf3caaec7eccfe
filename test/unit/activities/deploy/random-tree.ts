import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';

/** Numbers from a seed, the same each time (mulberry32). */
export function randomOf(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    chance: (probability: number) => next() < probability,
    one: <T>(of: readonly T[]): T => of[below(of.length)] as T,
    bytes: (length: number) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}

export type Random = ReturnType<typeof randomOf>;

/** Names that a shell, tar, find or sha256sum could take for something else. */
const ODD_NAMES = [
  ...['-e', '-rf', '--checkpoint-action=exec=sh', '@list', ' blanks ', 'trailing ', 'back\\slash', '\\n', '\\101'],
  ...[
    'new\nline',
    '\n',
    'tab\treturn\r',
    '"',
    "'",
    '$(id)',
    '`id`',
    '*',
    '?',
    '[a]',
    '~',
    '..dots',
    '...',
    '%s',
    '#',
    '!',
  ],
  ...['ünï-日本-🤖', 'a', 'a-b', 'a.b', 'A', 'x'.repeat(255)],
].map((name) => Buffer.from(name));

const MODES = [0o644, 0o755, 0o600, 0o400, 0o444, 0o500, 0o555, 0o4755, 0o2755, 0o1777, 0o6711, 0o777];

const SLASH = Buffer.from('/');
export const below = (folder: Buffer, name: Buffer) => Buffer.concat([folder, SLASH, name]);

function randomName(random: Random): Buffer {
  if (random.chance(0.5)) return random.one(ODD_NAMES);
  // No zero byte, no slash; what is left of most of these is no UTF-8.
  const name = random.bytes(1 + random.below(12)).filter((byte) => byte !== 0 && byte !== 0x2f);
  return ['', '.', '..'].includes(Buffer.from(name).toString('latin1'))
    ? Buffer.from('\xff', 'latin1')
    : Buffer.from(name);
}

/**
 * Fills a folder that is there with anything a file system can hold.
 * @returns pipes that are to be made
 */
export function fillFolder(random: Random, folder: Buffer, depth = 0, files: Buffer[] = []): Buffer[] {
  const pipes: Buffer[] = [];
  for (let count = random.below(depth === 0 ? 9 : 5); count > 0; count--) {
    const place = below(folder, randomName(random));
    if (fs.lstatSync(place, { throwIfNoEntry: false }) ?? pipes.some((pipe) => pipe.equals(place))) continue;
    const kind = random.below(12);
    if (kind < 4) writeFile(random, place, files);
    else if (kind < 6 && depth < 3) {
      fs.mkdirSync(place);
      pipes.push(...fillFolder(random, place, depth + 1, files));
      fs.chmodSync(place, random.one(MODES) | 0o500);
      fs.utimesSync(place, 1e9, 1e9 + random.below(1e8));
    } else if (kind < 8) fs.symlinkSync(targetOf(random), place);
    else if (kind < 9 && files.length > 0) fs.linkSync(random.one(files), place);
    else if (kind < 10) writeSparse(random, place);
    else if (kind < 11) pipes.push(place);
    else fs.writeFileSync(place, '');
  }
  return pipes;
}

function writeFile(random: Random, place: Buffer, files: Buffer[]): void {
  fs.writeFileSync(place, random.bytes(random.below(600)));
  fs.chmodSync(place, random.one(MODES) | 0o400);
  fs.utimesSync(place, 1e9, 1e9 + random.below(1e8) + 0.25);
  files.push(place);
}

function targetOf(random: Random): Buffer {
  const targets = ['/nowhere', '..', '../../../../etc/passwd', '.', 'a', 'new\nline', '-e', ' '];
  return random.chance(0.5) ? Buffer.from(random.one(targets)) : randomName(random);
}

function writeSparse(random: Random, place: Buffer): void {
  const file = fs.openSync(place, 'w');
  fs.ftruncateSync(file, 1 << 20);
  if (random.chance(0.7)) fs.writeSync(file, random.bytes(100), 0, 100, random.below(1 << 19));
  fs.closeSync(file);
}

export function makePipes(pipes: readonly Buffer[]): void {
  if (pipes.length === 0) return;
  const nul = Buffer.from([0]);
  execFileSync('xargs', ['-0', 'mkfifo', '--'], { input: Buffer.concat(pipes.flatMap((pipe) => [pipe, nul])) });
}

/**
 * All that a copy of a folder must have, by name (latin1): kind, mode, time, content, target, which
 * names are one file, and whether it has holes. Written apart from what is tested.
 */
export function snapshotOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const inodes = new Map<bigint, string>();
  const walk = (name: Buffer) => {
    const place = name.length === 0 ? Buffer.from(root) : below(Buffer.from(root), name);
    const stats = fs.lstatSync(place, { bigint: true });
    const key = name.toString('latin1');
    const mode = (stats.mode & 0o7777n).toString(8);
    if (stats.isDirectory()) {
      found[key] = `folder ${mode} ${stats.mtimeNs}`;
      const names = fs.readdirSync(place, { encoding: 'buffer' }).sort((a, b) => a.compare(b));
      for (const child of names) walk(name.length === 0 ? child : below(name, child));
      return;
    }
    const first = inodes.get(stats.ino) ?? key;
    inodes.set(stats.ino, first);
    if (stats.isSymbolicLink()) {
      found[key] = `link ${stats.mtimeNs} ${fs.readlinkSync(place, { encoding: 'latin1' as BufferEncoding })}`;
    } else if (stats.isFile()) {
      const sum = createHash('sha256').update(fs.readFileSync(place)).digest('hex');
      const holes = stats.size > 65536n && stats.blocks * 512n < stats.size / 2n;
      found[key] = `file ${mode} ${stats.mtimeNs} ${stats.size} ${sum} ${first}${holes ? ' with holes' : ''}`;
    }
  };
  walk(Buffer.alloc(0));
  return found;
}

/** Something that happens to a file or folder while it is copied. */
export const MISCHIEF: Readonly<Record<string, (place: string) => void>> = {
  grows: (place) => fs.appendFileSync(place, randomBytes(40)),
  'is cut': (place) => fs.truncateSync(place, 3),
  'is written anew': (place) => {
    fs.writeFileSync(`${place}.tmp`, randomBytes(500));
    fs.renameSync(`${place}.tmp`, place);
  },
  vanishes: (place) => fs.rmSync(place, { force: true }),
  'becomes a link': (place) => {
    fs.rmSync(place, { force: true });
    fs.symlinkSync(randomBytes(8).toString('hex'), place);
  },
  'becomes a pipe': (place) => {
    fs.rmSync(place, { force: true });
    makePipes([Buffer.from(place)]);
  },
  'becomes a folder': (place) => {
    fs.rmSync(place, { force: true, recursive: true });
    fs.mkdirSync(path.join(place, randomBytes(4).toString('hex')), { recursive: true });
  },
  'loses its rights': (place) => fs.chmodSync(place, fs.statSync(place).mode ^ 0o021),
};
