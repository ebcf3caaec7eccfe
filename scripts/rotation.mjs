// The tests that take too long for every CI run: each run has one entry of them, and all have had
// their turn after five.
// `rotation.mjs choose`: which one it is; why goes to standard error.
// `packages ENTRY`: what it needs of Debian, one a line.
// `run ENTRY [OPTION…]`: runs it, with more options for vitest, and keeps that it passed.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const DRILLS = 'test/e2e/drills.test.ts';
const LIBVIRT = ['libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-clients', 'dnsmasq-base'];
const LIVE_CD = ['squashfs-tools', 'grub-common', 'grub-pc-bin', 'grub-efi-amd64-bin', 'xorriso', 'mtools'];

/**
 * What each entry runs, two files at a time: `tests` are files, `require` is what may not be missing,
 * `env` what the tests are given. The faults that are not here come in every run
 * (test/e2e/drills-together.test.ts).
 */
export const ENTRIES = {
  libvirt: { tests: ['test/contract/libvirt.contract.test.ts'], packages: LIBVIRT, require: 'qemu,libvirt' },
  'live-cd': {
    tests: ['test/contract/iso.contract.test.ts', DRILLS],
    packages: LIVE_CD,
    require: 'qemu,live-iso',
    env: { NIXPROOF_TEST_DRILLS: 'clock-wrong' },
  },
  anywhere: {
    tests: ['test/e2e/nixos-anywhere-qemu.test.ts', DRILLS],
    require: 'qemu',
    env: { NIXPROOF_TEST_DRILLS: 'worker-crash' },
  },
  heals: {
    tests: ['test/e2e/heals.test.ts', DRILLS],
    require: 'qemu',
    env: { NIXPROOF_TEST_DRILLS: 'slow-network' },
  },
  'full-disk': { tests: [DRILLS], require: 'qemu', env: { NIXPROOF_TEST_DRILLS: 'disk-full' } },
};

/**
 * The entry whose turn it is, and why: the one that passed longest ago. One that never did comes
 * first; among those the count of commits decides, so that hosts that remember nothing take turns too.
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

function run(name, options) {
  const { tests, require, env = {} } = ENTRIES[name];
  const vitest = ['vitest', 'run', ...tests, ...options];
  const { status } = spawnSync('npx', vitest, {
    stdio: 'inherit',
    env: { ...process.env, NIXPROOF_TEST_LONG: '2', NIXPROOF_TEST_REQUIRE: require, ...env },
  });
  // One that failed has its turn again.
  if (status === 0) keep(name);
  return status ?? 1;
}

const [command, name, ...options] = process.argv.slice(2);
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
    process.exitCode = run(name, options);
  } else {
    console.error('usage: rotation.mjs choose | packages ENTRY | run ENTRY [OPTION…]');
    process.exitCode = 2;
  }
}
