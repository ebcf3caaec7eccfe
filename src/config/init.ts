import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { discoverFlake, type DiscoverOptions, type Flake } from './flake.js';
import { isFile } from './load.js';

/** Where installers usually are, likeliest first. */
const SCRIPT_NAMES: readonly string[] = ['install.sh', 'scripts/install.sh', 'setup.sh', 'bootstrap.sh'];
const SCHEMA = './node_modules/nixproof/schema/nixproof.schema.json';

/** What was found to begin a configuration from. */
export type Found =
  | { readonly kind: 'flake'; readonly flake: Flake }
  | { readonly kind: 'script'; /** The command that starts it. */ readonly run: string }
  | { readonly kind: 'nothing' };

export interface InitialConfig {
  /** Absolute path of the nixproof.yaml to write: beside the flake, or in the folder itself. It may be there already. */
  readonly file: string;
  /** The whole file. It is valid as it stands. */
  readonly text: string;
  readonly found: Found;
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
}

export interface InitOptions extends DiscoverOptions {
  readonly cwd: string;
}

/** A commented configuration to begin with. Writes nothing. */
export async function initialConfig({ cwd, ...options }: InitOptions): Promise<InitialConfig> {
  const flake = await discoverFlake(cwd, options);
  const run = await installerIn(cwd);
  const usable = flake !== undefined && flake.hosts.length > 0;
  const found: Found = usable
    ? { kind: 'flake', flake }
    : run === undefined
      ? { kind: 'nothing' }
      : { kind: 'script', run };
  const folder = usable ? flake.folder : path.resolve(cwd);
  const text = `${await schemaLine(folder)}${HEADER}profiles:\n${profilesOf(found)}${footer(usable ? 4096 : 2048)}`;
  return { file: path.join(folder, 'nixproof.yaml'), text, found, notes: [...(flake?.notes ?? []), noteOf(found)] };
}

async function installerIn(folder: string): Promise<string | undefined> {
  for (const name of SCRIPT_NAMES) {
    const file = path.join(folder, name);
    if (!(await isFile(file))) continue;
    const executable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return `./${name}`;
    const firstLine = (await readFile(file, 'utf8')).split('\n', 1)[0] ?? '';
    return `${/^#!.*\bbash\b/.test(firstLine) ? 'bash' : 'sh'} ./${name}`;
  }
  return undefined;
}

async function schemaLine(folder: string): Promise<string> {
  return (await isFile(path.join(folder, SCHEMA))) ? `# yaml-language-server: $schema=${SCHEMA}\n` : '';
}

function noteOf(found: Found): string {
  switch (found.kind) {
    case 'flake':
      return `profiles from nixosConfigurations: ${found.flake.hosts.join(', ')}`;
    case 'script':
      return `one profile that runs ${found.run}`;
    case 'nothing':
      return 'neither hosts of a flake nor an installer script were found: set install.run to your installer';
  }
}

function profilesOf(found: Found): string {
  if (found.kind === 'flake') return found.flake.hosts.map((host) => nixosProfile(host, found.flake.disko)).join('');
  const todo = found.kind === 'nothing' ? '   # to do: the command that installs your system' : '';
  return scriptProfile(found.kind === 'script' ? found.run : './install.sh', todo);
}

const scalar = (value: string): string => stringify(value).trimEnd();

const nixosProfile = (host: string, disko: boolean): string => `  ${scalar(host)}:
    install:
      kind: nixos
      flake: ${scalar(`.#${host}`)}
      disko: ${disko}${disko ? '             # disko partitions the disks first' : '            # nothing here speaks of disko: is /mnt mounted otherwise?'}
    checks:
      - { name: no failed units, units: clean }
      - { name: survives a reboot, reboot: 1 }
`;

const scriptProfile = (run: string, todo: string): string => `  default:
    base: debian              # nixos | debian | disk:PATH | iso:PATH_OR_URL#SHA256
    install:
      kind: script
      run: ${scalar(run)}${todo}
      timeout: 2h
      stall: 15m              # no output for so long is a stall
    checks:
      - { name: no failed units, units: clean }
`;

const HEADER = `# What nixproof tests: \`nixproof test\` runs every profile on a pristine machine.
`;

const footer = (
  memoryMiB: number,
): string => `    # More checks, each passing by exit status 0, \`expect\` or \`match\`:
    #  - { name: root is btrfs, run: findmnt -no FSTYPE /, expect: btrfs }
    #  - { name: sshd is active, service: sshd }
    # The machine and what is copied into it, with their defaults:
    # machine: { memory: ${memoryMiB}, cpus: 2, disks: [20G], firmware: uefi }
    # deploy: { from: ., to: /root/config }

healing:
  policy: auto                # auto | ask | never
  threshold: 0.6              # heals below this confidence are not applied by themselves
  max: 3                      # heals a run may try
`;
