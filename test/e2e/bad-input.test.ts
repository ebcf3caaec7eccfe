import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { openBench, parsed, type Bench } from './bench.js';

interface Mistake {
  readonly what: string;
  readonly args: readonly string[];
  /** Standard error, to the letter. */
  readonly says: readonly string[];
  /** Its last line, and in JSON. */
  readonly code: string;
  readonly exit?: number;
  /** The folder's nixproof.yaml; a good one unless given. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const INSTALL = 'install: { kind: script, run: ./install.sh }';
const GOOD = `profiles:\n  workstation: { driver: sandbox, ${INSTALL} }\n  server: { driver: sandbox, ${INSTALL} }\n`;
const CORRECT =
  'hint: correct the configuration; an editor that is given its JSON Schema (nixproof/schema.json) explains every key';
const HELP = '(add --help for the options)';
const BASES = 'expected nixos, debian, disk:PATH or iso:PATH_OR_URL#SHA256 (the hash only a URL must have), got "bar"';
const SEE_BASES = 'hint: see docs/bases.md for what a machine can boot';
const SEE_STATUS = 'hint: see `nixproof status` for the runs there are';

/** What is refused before anything starts: no server, no folder in the home. */
const REFUSED: readonly Mistake[] = [
  {
    what: 'a profile nobody knows',
    args: ['test', 'wrkstation'],
    code: 'CONFIG_UNKNOWN_PROFILE',
    says: [
      'error: there is no profile "wrkstation" in nixproof.yaml, did you mean "workstation"?',
      'hint: name one of these: workstation, server',
    ],
  },
  {
    what: 'keys nobody knows',
    config: `profiles:\n  vm:\n    instal: { kind: script, run: ./install.sh }\n    machine: { memroy: 4096 }\n`,
    args: ['test'],
    code: 'CONFIG_INVALID',
    says: [
      'error: nixproof.yaml:3:5: profiles.vm.instal: unknown key "instal", did you mean "install"?',
      'error: nixproof.yaml:4:16: profiles.vm.machine.memroy: unknown key "memroy", did you mean "memory"?',
      CORRECT,
    ],
  },
  {
    what: 'no configuration',
    args: ['test', '--config', 'nowhere.yaml'],
    code: 'CONFIG_NOT_FOUND',
    says: [
      'error: there is no nowhere.yaml',
      'hint: give the path of a configuration, or run `nixproof init` to write one',
    ],
  },
  {
    what: 'a folder to deploy that is not there',
    config: `profiles:\n  vm: { driver: sandbox, deploy: { from: ./nowhere }, ${INSTALL} }\n`,
    args: ['test'],
    code: 'CONFIG_DEPLOY_MISSING',
    says: [
      'error: profile vm: deploy.from does not exist: nowhere',
      'hint: set deploy.from to the folder to copy; it is relative to the configuration’s folder',
    ],
  },
  {
    what: 'a flake in a sandbox, whose disks are those of this host',
    config: 'profiles:\n  vm: { install: { kind: nixos, flake: .#vm } }\n',
    args: ['test', '--driver', 'sandbox'],
    code: 'UNSUPPORTED_SANDBOX_TARGET',
    says: [
      "error: vm: kind nixos partitions disks, and the disks of a sandbox's programs are this host's own",
      'hint: use --driver qemu (prepare it with `nixproof setup`), libvirt or ssh',
    ],
  },
  {
    what: "Yarn's Plug'n'Play",
    args: ['test'],
    env: { NODE_OPTIONS: `--require=${fileURLToPath(new URL('../fixtures/programs/pnp.cjs', import.meta.url))}` },
    code: 'UNSUPPORTED_PNP',
    says: [
      "error: nixproof does not run from the archives of Yarn's Plug'n'Play",
      'hint: set `nodeLinker: node-modules` in .yarnrc.yml and run `yarn install`',
    ],
  },
  {
    what: 'an environment that makes no sense',
    args: ['test'],
    env: { PARALLEL_TESTS: 'lots' },
    code: 'CONFIG_ENVIRONMENT',
    says: [
      'error: PARALLEL_TESTS: expected true, false, auto or a whole number from 1 to 1000, got "lots"',
      'hint: set PARALLEL_TESTS to true, false, auto or a whole number from 1 to 1000, or unset it',
    ],
  },
  {
    what: 'an option with a number that is none',
    args: ['test', '--parallel', '0'],
    code: 'CONFIG_USAGE',
    says: ["error: option '--parallel <n>' argument '0' is invalid. expected a number from 1 up, or auto", HELP],
  },
  {
    what: 'an option with a duration that is none',
    args: ['test', '--timeout', 'soon'],
    code: 'CONFIG_USAGE',
    says: [
      "error: option '--timeout <duration>' argument 'soon' is invalid. expected a duration such as 90s, 15m or 1h30m",
      HELP,
    ],
  },
  {
    what: 'an option with a word that is none of its own',
    args: ['test', '--driver', 'bochs'],
    code: 'CONFIG_USAGE',
    says: [
      `error: option '--driver <names>' argument 'bochs' is invalid. expected "qemu", "libvirt", "ssh" or "sandbox", got "bochs"`,
      HELP,
    ],
  },
  ...[
    ['--driver <names>', ''],
    ['--base <bases>', ','],
    ['--profiles <names>', ' , '],
  ].map(([option = '', value = '']) => ({
    what: `an option with an empty list: ${option}`,
    args: ['test', option.split(' ')[0] ?? '', value],
    code: 'CONFIG_USAGE',
    says: [
      `error: option '${option}' argument '${value}' is invalid. expected a name, or several separated by commas`,
      HELP,
    ],
  })),
  {
    what: 'a base nobody knows: test',
    args: ['test', '--base', 'debian,bar'],
    code: 'CONFIG_FLAG',
    says: [`error: --base: ${BASES}`, SEE_BASES],
  },
  {
    what: 'a base nobody knows: vm start',
    args: ['vm', 'start', 'x', '--driver', 'sandbox', '--base', 'bar'],
    code: 'CONFIG_FLAG',
    says: [`error: --base: ${BASES}`, SEE_BASES],
  },
  {
    what: 'an image to download whose hash is not said',
    args: ['setup', '--base', 'iso:http://x/y.iso'],
    code: 'CONFIG_FLAG',
    says: ['error: --base: expected the SHA-256 of the image after its URL: iso:URL#SHA256', SEE_BASES],
  },
  {
    what: 'a folder as a file to write',
    args: ['test', '--junit', '.'],
    code: 'CONFIG_FLAG',
    says: ['error: --junit: cannot write to .: it is a folder', 'hint: name another place with --junit'],
  },
  {
    what: 'a file where no folder can be made',
    args: ['test', '--junit', 'nixproof.yaml/junit.xml'],
    code: 'CONFIG_FLAG',
    says: [
      "error: --junit: cannot write to nixproof.yaml/junit.xml: EEXIST: file already exists, mkdir 'nixproof.yaml'",
      'hint: name another place with --junit',
    ],
  },
  {
    what: 'a file as a folder to write in',
    args: ['test', '--report-dir', 'nixproof.yaml'],
    code: 'CONFIG_FLAG',
    says: [
      "error: --report-dir: cannot write to nixproof.yaml: EEXIST: file already exists, mkdir 'nixproof.yaml'",
      'hint: name another place with --report-dir',
    ],
  },
  {
    what: 'an option nobody knows',
    args: ['status', '--jsn'],
    code: 'CONFIG_USAGE',
    says: ["error: unknown option '--jsn'", '(Did you mean --json?)', HELP],
  },
  {
    what: 'a command nobody knows',
    args: ['tset'],
    code: 'CONFIG_USAGE',
    says: ["error: unknown command 'tset'", '(Did you mean test?)', HELP],
  },
  {
    what: 'a run nobody knows: status',
    args: ['status', 'vm-1'],
    code: 'CONFIG_UNKNOWN_RUN',
    says: ['error: there is no run vm-1', SEE_STATUS],
  },
  {
    what: 'a path for a run: status',
    args: ['status', '../../x'],
    code: 'CONFIG_USAGE',
    says: [
      `error: command-argument value '../../x' is invalid for argument 'run'. "../../x" cannot be the name of a run: a name has letters, digits, dots, dashes and underscores only, and begins with a letter, a digit or an underscore`,
      HELP,
    ],
  },
  {
    what: 'a machine nobody knows: ip',
    args: ['vm', 'ip', 'vm-1'],
    code: 'CONFIG_UNKNOWN_MACHINE',
    says: ['error: there is no machine vm-1 on this host', 'hint: see `nixproof vm list`'],
  },
];

/** Commands that have no `--json`. */
const REFUSED_PLAINLY: readonly Mistake[] = [
  {
    what: 'logs',
    args: ['logs', 'vm-1'],
    code: 'CONFIG_UNKNOWN_RUN',
    says: ['error: there is no run vm-1', SEE_STATUS],
  },
  {
    what: 'report',
    args: ['report', 'vm-1'],
    code: 'CONFIG_UNKNOWN_RUN',
    says: ['error: there is no run vm-1', SEE_STATUS],
  },
  {
    what: 'report in a format nobody knows',
    args: ['report', 'vm-1', '--format', 'pdf'],
    code: '',
    says: [
      "error: option '--format <format>' argument 'pdf' is invalid. Allowed choices are json, junit, html, markdown.",
      HELP,
    ],
  },
  {
    what: 'vm stop',
    args: ['vm', 'stop', 'vm-1'],
    code: 'CONFIG_UNKNOWN_MACHINE',
    says: ['error: there is no machine vm-1 on this host', 'hint: see `nixproof vm list`'],
  },
  { what: 'logs of nothing', args: ['logs'], code: '', says: ["error: missing required argument 'run'", HELP] },
  {
    what: 'a worker without a server',
    args: ['worker'],
    code: 'CONFIG_NO_SERVER',
    says: [
      'error: no Temporal server is named',
      'hint: set TEMPORAL_ADDRESS or a Temporal configuration profile; for a local stack with its own worker use `nixproof up`',
    ],
  },
];

describe('is refused before anything starts', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench('local stack');
  });

  async function told({ args, config = GOOD, env = {} }: Mistake, ...more: string[]) {
    const folder = await bench.folder({ 'nixproof.yaml': config });
    return bench.withEnv(env).np(folder, ...args, ...more);
  }
  const lines = (texts: readonly string[]) => `${texts.join('\n')}\n`;
  /** What commander refuses ends with its own line. */
  const whole = ({ says, code }: Mistake) => lines(says.at(-1) === HELP ? says : [...says, `code: ${code}`]);

  test.concurrent.each(REFUSED)('$what', async (mistake) => {
    const [plain, json] = await Promise.all([told(mistake), told(mistake, '--json')]);
    expect(plain).toEqual({ exit: 2, stdout: '', stderr: whole(mistake) });
    expect(json).toMatchObject({ exit: 2, stderr: whole(mistake) });
    expect(parsed(json)).toMatchObject({ error: { code: mistake.code, message: expect.any(String) as string } });
  });

  test.concurrent.each(REFUSED_PLAINLY)('$what', async (mistake) => {
    expect(await told(mistake)).toEqual({ exit: 2, stdout: '', stderr: whole(mistake) });
  });

  test('no configuration anywhere, told by init and test alike', async () => {
    const folder = await bench.folder({});
    expect(await bench.np(folder, 'test')).toEqual({
      exit: 2,
      stdout: '',
      stderr: lines([
        'error: there is no nixproof.yaml and no flake.nix here or in a folder above',
        'hint: run `nixproof init` to write a configuration, or name one with --config',
        'code: CONFIG_NOT_FOUND',
      ]),
    });
  });

  test('and leaves nothing in the home', async () => {
    expect(await readdir(bench.layout.home)).toEqual([]);
  });
});

describe('a server that does not answer', () => {
  let bench: Bench;
  beforeAll(async () => {
    // Nobody listens on port 1, and nobody without privileges can.
    bench = await openBench('local stack', { TEMPORAL_ADDRESS: '127.0.0.1:1' });
  });

  test.concurrent.each([
    [['test', '--json']],
    [['status', '--json']],
    [['status', 'vm-1', '--json']],
    [['watch', 'vm-1', '--json']],
    [['cancel', 'vm-1']],
    [['worker']],
  ])('%j', async (args) => {
    const ended = await bench.np(await bench.folder({ 'nixproof.yaml': GOOD }), ...args);
    expect(ended.exit).toBe(3);
    expect(ended.stderr).toMatch(
      /^error: no Temporal server answers at 127\.0\.0\.1:1: .+\nhint: check TEMPORAL_ADDRESS, or unset it to use the local stack\ncode: SERVER_UNREACHABLE\n$/,
    );
    if (!args.includes('--json')) expect(ended.stdout).toBe('');
    else expect(parsed(ended)).toMatchObject({ error: { code: 'SERVER_UNREACHABLE' } });
  });
});

describe('a run that the server does not know', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench('own');
  });

  test.concurrent.each([
    { args: ['status', 'vm-1'], says: `error: there is no run vm-1\n${SEE_STATUS}\ncode: CONFIG_UNKNOWN_RUN\n` },
    { args: ['logs', 'vm-1'], says: `error: there is no run vm-1\n${SEE_STATUS}\ncode: CONFIG_UNKNOWN_RUN\n` },
    { args: ['report', 'vm-1'], says: `error: there is no run vm-1\n${SEE_STATUS}\ncode: CONFIG_UNKNOWN_RUN\n` },
    {
      args: ['watch', 'vm-1'],
      says: 'error: there is no run or suite vm-1\nhint: see `nixproof status`\ncode: CONFIG_UNKNOWN_RUN\n',
    },
    {
      args: ['cancel', 'vm-1'],
      says: 'error: there is no run or suite vm-1\nhint: see `nixproof status`\ncode: CONFIG_UNKNOWN_RUN\n',
    },
  ])('$args.0', async ({ args, says }) => {
    expect(await bench.np(bench.layout.home, ...args)).toEqual({ exit: 2, stdout: '', stderr: says });
  });
});
