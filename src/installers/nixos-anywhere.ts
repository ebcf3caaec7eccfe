import type { Installation } from '../domain/profile.js';
import type { Endpoint } from '../machines/machine.js';
import { quote } from '../machines/quote.js';
import { flakeWord } from './deployed-flake.js';

/** The machine to install, as its installer on this host reaches it. */
export interface Target {
  readonly endpoint: Pick<Endpoint, 'host' | 'port' | 'user' | 'keyFile'>;
  /** A file for OpenSSH with the machine's host key, as it was pinned. */
  readonly knownHosts: string;
}

/** What nixos-anywhere says of itself, as `### text ###` (its `step`), and the phase that begins there. Other texts are context. */
const STEPS: readonly (readonly [text: string, phase: string])[] = [
  ['Uploading install SSH keys', 'PREPARE'],
  ['Switching system into kexec', 'KEXEC'],
  ['Generating .*', 'HARDWARE_CONFIG'],
  ['Building disko script', 'DISKO_BUILD'],
  ['Formatting hard drive with disko', 'DISKO'],
  ['Building the system closure', 'SYSTEM_BUILD'],
  ['Uploading the system closure', 'UPLOAD'],
  ['Installing NixOS', 'INSTALL'],
];

const MARKERS = [
  ...STEPS.map(([text, phase]) => `s/^### ${text} ###$/::PHASE::${phase}/`),
  's/^### Done! ###$/::SUCCESS::nixos-anywhere is done/',
  's/^### \\(.*\\) ###$/::CONTEXT::\\1/',
];

/**
 * The shell script of `kind: nixos-anywhere`. The machine is asked first, under its pinned host key: nixos-anywhere itself takes
 * any key, and asks one that does not answer for ever. It restarts nothing: that is the bench's to do, and to see.
 */
export function nixosAnywhere(
  install: Extract<Installation, { kind: 'nixos-anywhere' }>,
  { endpoint, knownHosts }: Target,
): string {
  const { host, port, user, keyFile } = endpoint;
  const address = `${user}@${host}`;
  const pinned = [
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    'IdentitiesOnly=yes',
    'BatchMode=yes',
  ];
  const asked = [...pinned, 'ConnectTimeout=30'].flatMap((option) => ['-o', option]);
  const way = ['--target-host', address, '-p', String(port), '--post-kexec-ssh-port', String(port), '-i', keyFile];
  const options = [...way, '--phases', install.phases.join(','), ...install.args];
  return `set -eu
nixproof-phase CONNECT
ssh ${quote(['-p', String(port), '-i', keyFile, ...asked, address, 'exit', '0'])}
nixproof-phase BUILD
status=$(mktemp)
end=\${status##*/}
{
  nixos-anywhere --flake ${flakeWord(install.flake)} ${quote(options)} 2>&1 && code=0 || code=$?
  echo "$code" >"$status"
  # What it leaves running, such as a shared SSH connection, may hold the pipe for ever.
  echo "$end"
} | LC_ALL=C sed -u ${quote(MARKERS.flatMap((marker) => ['-e', marker]))} -e "/$end$/{s///;/^$/Q;q}"
exit "$(cat "$status")"
`;
}
