// The tests that take too long for every CI run: each run has one entry of them, and all have had
// their turn after five.
// `rotation.mjs choose`: which one it is; why goes to standard error.
// `packages ENTRY`: what it needs of Debian, one a line.
// `run ENTRY FOLDER`: runs it, with vitest's results in that folder, and keeps that it passed.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const LIVE_CD = ['squashfs-tools', 'grub-common', 'grub-pc-bin', 'grub-efi-amd64-bin', 'xorriso', 'mtools'];

const drill = (fault) => ({
  tests: ['test/e2e/drills.test.ts'],
  require: 'qemu',
  env: { NIXPROOF_TEST_DRILLS: fault },
});
/** One whole test of a machine with another Debian's QEMU and tools, and the quickstart there. */
const otherDebian = (debian) => [
  { tests: ['test/e2e/whole-qemu.test.ts'], require: 'qemu', in: debian },
  { tests: ['test/e2e/quickstart.test.ts'], require: '', env: { NIXPROOF_TEST_DEBIAN: debian } },
];

/**
 * What each entry runs, one part after the other: `tests` are files, `require` is what may not be
 * missing, `in` is the Debian whose tools are used (this host's unless given), `env` is what the
 * tests are given. Faults that are not here are in every run (test/e2e/drills-together.test.ts).
 */
export const ENTRIES = {
  libvirt: { parts: [{ tests: ['test/contract/libvirt.contract.test.ts'], require: 'libvirt', in: 'trixie' }] },
  'live-cd': {
    parts: [{ tests: ['test/contract/iso.contract.test.ts'], require: 'qemu,live-iso' }, drill('clock-wrong')],
    packages: LIVE_CD,
  },
  anywhere: {
    parts: [{ tests: ['test/e2e/nixos-anywhere-qemu.test.ts'], require: 'qemu' }, drill('worker-crash,slow-network')],
  },
  trixie: { parts: [...otherDebian('trixie'), { tests: ['test/e2e/heals.test.ts'], require: 'qemu' }] },
  forky: {
    parts: [
      ...otherDebian('forky'),
      { tests: ['test/contract/accelerator.contract.test.ts'], require: 'qemu' },
      drill('disk-full'),
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

/** @param results folder for what vitest says of each part, `turn-N.json` */
function run(name, results) {
  const statuses = ENTRIES[name].parts.map(({ tests, require, env = {}, in: debian }, index) => {
    const output = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}/turn-${index}.json`];
    const vitest = ['vitest', 'run', ...tests, ...output];
    const [file, ...args] = debian ? ['node', 'scripts/in-debian.mjs', debian, ...vitest] : ['npx', ...vitest];
    const { status } = spawnSync(file, args, {
      stdio: 'inherit',
      env: { ...process.env, NIXPROOF_TEST_LONG: '2', NIXPROOF_TEST_REQUIRE: require, ...env },
    });
    return status ?? 1;
  });
  const failed = statuses.find((status) => status !== 0);
  // One that failed has its turn again.
  if (failed === undefined) keep(name);
  return failed ?? 0;
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
    process.exitCode = run(name, results);
  } else {
    console.error('usage: rotation.mjs choose | packages ENTRY | run ENTRY FOLDER');
    process.exitCode = 2;
  }
}
