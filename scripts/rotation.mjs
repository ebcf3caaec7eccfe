// The tests that take too long for every CI run: each run has one entry of them, and all have had
// their turn after five.
// `rotation.mjs choose`: which one it is; why goes to standard error.
// `packages ENTRY`: what it needs of Debian, one a line.
// `run ENTRY FOLDER`: runs it, with vitest's results in that folder, and keeps that it passed.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const LIVE_CD = ['squashfs-tools', 'grub-common', 'grub-pc-bin', 'grub-efi-amd64-bin', 'xorriso', 'mtools'];

const onQemu = (...names) => ({ tests: names, require: 'qemu' });
const drills = (...faults) => ({
  ...onQemu('test/e2e/drills.test.ts'),
  env: { NIXPROOF_TEST_DRILLS: faults.join(',') },
});
const provingGround = (...profiles) => ({
  ...onQemu('test/e2e/proving-ground.test.ts'),
  env: { NIXPROOF_TEST_PROFILES: profiles.join(',') },
});
/** One whole test of a machine with another Debian's QEMU and tools, and the quickstart there. */
const otherDebian = (debian) => [
  { ...onQemu('test/e2e/whole-qemu.test.ts', 'test/contract/qemu-checkpoints.contract.test.ts'), in: debian },
  { tests: ['test/e2e/quickstart.test.ts'], require: '', env: { NIXPROOF_TEST_DEBIAN: debian } },
];

/**
 * What each entry runs: two lanes side by side, a core for each, of parts one after the other. In a
 * part `tests` are files, `require` is what may not be missing, `in` is the Debian whose tools are
 * used (this host's unless given), `env` is what the tests are given.
 */
export const ENTRIES = {
  libvirt: {
    lanes: [
      [
        { tests: ['test/contract/libvirt.contract.test.ts'], require: 'libvirt', in: 'trixie' },
        onQemu('test/contract/guest-network.contract.test.ts'),
      ],
      [provingGround('workstation', 'server')],
    ],
  },
  'live-cd': {
    lanes: [
      [
        onQemu('test/contract/qemu.contract.test.ts', 'test/contract/fleet.contract.test.ts'),
        { tests: ['test/torture/seeds.test.ts'], require: 'confinement,postgres' },
      ],
      [
        { tests: ['test/contract/iso.contract.test.ts'], require: 'qemu,live-iso' },
        drills('clock-wrong', 'dns-broken', 'network-down@DOWNLOAD'),
      ],
    ],
    packages: LIVE_CD,
  },
  anywhere: {
    lanes: [
      [onQemu('test/e2e/nixos-anywhere-qemu.test.ts', 'test/e2e/full-disk-qemu.test.ts')],
      [provingGround('vm', 'server-bios'), onQemu('test/e2e/healing-qemu.test.ts')],
    ],
  },
  trixie: {
    lanes: [
      otherDebian('trixie'),
      [onQemu('test/e2e/heals.test.ts'), drills('worker-crash', 'slow-network', 'memory-hog')],
    ],
  },
  forky: {
    lanes: [
      otherDebian('forky'),
      [
        onQemu('test/contract/accelerator.contract.test.ts', 'test/contract/qemu-abilities.contract.test.ts'),
        drills(
          'disk-full',
          'disk-renamed',
          'tmp-full',
          'cache-unreachable',
          'cache-corrupt',
          'installer-killed@FORMAT',
          'machine-crash@FORMAT',
        ),
      ],
    ],
  },
};

/**
 * The entry whose turn it is, and why: the one that passed longest ago. One that never did comes
 * first; among those the count of commits decides, so that hosts that remember nothing take turns
 * too.
 * @param passed when each entry last passed, milliseconds since 1970
 * @param asked the entry that somebody wants instead
 */
export function choose(names, passed, commits, asked) {
  if (asked !== undefined) {
    if (!names.includes(asked)) throw new Error(`there is no entry ${asked}: ${names.join(', ')}`);
    return { name: asked, why: 'NIXPROOF_CI_ROTATION asks for it' };
  }
  const first = commits % names.length;
  const inTurn = [...names.slice(first), ...names.slice(0, first)];
  const name = inTurn.reduce((best, next) => ((passed[next] ?? 0) < (passed[best] ?? 0) ? next : best));
  if (passed[name] !== undefined)
    return { name, why: `it passed longest ago: ${new Date(passed[name]).toISOString()}` };
  return { name, why: `it never passed on this host, and is the next one at ${commits} commits` };
}

/** When each entry last passed on this host. */
const RECORD = path.join(process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'), 'nixproof/ci-rotation.json');

function readRecord() {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8'));
  } catch {
    // None, or one that is broken: then it is the commits' turn.
    return {};
  }
}

function keep(name) {
  mkdirSync(path.dirname(RECORD), { recursive: true });
  writeFileSync(RECORD, `${JSON.stringify({ ...readRecord(), [name]: Date.now() }, null, 2)}\n`);
}

/**
 * Runs an entry; what a part prints comes when it has ended.
 * @param results folder for what vitest says of each part, `turn-LANE-N.json`
 */
async function run(name, results) {
  const lanes = ENTRIES[name].lanes.map(async (parts, lane) => {
    const statuses = [];
    for (const [index, part] of parts.entries())
      statuses.push(await runPart(part, path.join(results, `turn-${lane}-${index}.json`)));
    return statuses;
  });
  const failed = (await Promise.all(lanes)).flat().find((status) => status !== 0);
  // One that failed has its turn again.
  if (failed === undefined) keep(name);
  return failed ?? 0;
}

async function runPart({ tests, require, env = {}, in: debian }, json) {
  const output = ['--reporter=default', '--reporter=json', `--outputFile.json=${json}`];
  const vitest = ['vitest', 'run', ...tests, ...output];
  const [file, ...args] = debian ? ['node', 'scripts/in-debian.mjs', debian, ...vitest] : ['npx', ...vitest];
  const began = Date.now();
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NIXPROOF_TEST_LONG: '1', NIXPROOF_TEST_REQUIRE: require, ...env },
  });
  const printed = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => printed.push(chunk));
  const status = await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  process.stdout.write(Buffer.concat(printed));
  console.log(`-- - ${tests.map((test) => path.basename(test, '.test.ts')).join(', ')}: ${seconds(began)} s`);
  return status;
}

function seconds(began) {
  return Math.round((Date.now() - began) / 1000);
}

const [command, name, results] = process.argv.slice(2);
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (command === 'choose') {
    const commits = Number(execFileSync('git', ['rev-list', '--count', 'HEAD'], { encoding: 'utf8' }));
    const chosen = choose(
      Object.keys(ENTRIES),
      readRecord(),
      commits,
      process.env['NIXPROOF_CI_ROTATION'] || undefined,
    );
    console.error(`${chosen.name}: ${chosen.why}`);
    console.log(chosen.name);
  } else if (command === 'packages') {
    for (const one of ENTRIES[name].packages ?? []) console.log(one);
  } else if (command === 'run') {
    process.exitCode = await run(name, results);
  } else {
    console.error('usage: rotation.mjs choose | packages ENTRY | run ENTRY FOLDER');
    process.exitCode = 2;
  }
}
