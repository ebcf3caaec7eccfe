import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { NixproofError } from '../domain/error.js';
import { hostToolsOf, requireOwnDisks } from '../domain/installer.js';
import type { Installation, Profile } from '../domain/profile.js';
import { findProgram, hostPath } from '../host/programs.js';
import { requirePrograms } from '../machines/missing-program.js';
import { knownHostsLine } from '../machines/known-hosts.js';
import type { Connection, Endpoint, ExecResult, Machine } from '../machines/machine.js';
import { quote } from '../machines/quote.js';
import { nixCheck } from './nix-check.js';
import { nixosInstaller } from './nixos.js';
import { nixosAnywhere, type Target } from './nixos-anywhere.js';
import { scriptInstaller } from './script.js';

const ASSETS = fileURLToPath(new URL('../../assets/guest/', import.meta.url));
const TOOLS = ['nixproof-run', 'nixproof-phase', 'nixproof.sh'] as const;
/** A machine that is slow to start a process is not that slow. */
const BEGINS_WITHIN_S = 30;
const GUEST_FOLDER = '/var/lib/nixproof';

/** Where one attempt's files are in the machine, already mapped for the sandbox. */
export interface GuestAttempt {
  readonly folder: string;
  readonly log: string;
  readonly status: string;
  readonly pid: string;
  /** The folder in which phases wait for the host's word. */
  readonly barrier: string;
}

/** Where everything of ours is in the machine. */
export function guestFolder(machine: Machine): string {
  return machine.resolvePath(GUEST_FOLDER);
}

export function guestAttempt(machine: Machine, attempt: number): GuestAttempt {
  const folder = `${guestFolder(machine)}/attempt-${attempt}`;
  return {
    folder,
    log: `${folder}/install.log`,
    status: `${folder}/status`,
    pid: `${folder}/pid`,
    barrier: `${folder}/barrier`,
  };
}

/** How an attempt is started. */
export interface Start {
  readonly attempt: number;
  /** Whether the installer waits at the beginning of its phases. */
  readonly barrier: boolean;
  /** The machine that is installed: the one the installer runs in, unless it does so from outside. */
  readonly target: Machine;
  /** Secret variables of the installer's environment; absent: none. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The systemd unit of one attempt, where the guest runs systemd. */
export function unitName(attempt: number): string {
  return `nixproof-install-${attempt}`;
}

/**
 * Starts the installer detached: nothing of it depends on our connection. Idempotent: `nixproof-run` claims the attempt
 * atomically in the guest, so however often this is called the installer starts once.
 * @throws NixproofError `UNSUPPORTED_SANDBOX_TARGET`, `HOST_TOOL_MISSING`,
 * `MACHINE_TOOL_MISSING`, `MACHINE_START_FAILED`, `MACHINE_WRITE_FAILED`
 */
export async function startInstaller(
  machine: Machine,
  connection: Connection,
  profile: Profile,
  start: Start,
): Promise<void> {
  const { attempt, target } = start;
  requireOwnDisks(profile, target.info.driver);
  await requireHostTools(profile.install);
  const endpoint = await target.endpoint();
  const guest = guestAttempt(machine, attempt);
  const bin = `${guestFolder(machine)}/bin`;
  const small = new Map<string, string>();
  for (const tool of TOOLS) small.set(`${bin}/${tool}`, await readFile(path.join(ASSETS, tool), 'utf8'));
  if (target !== machine) small.set(knownHostsOf(guest), knownHostsLine(endpoint));
  await putFiles(connection, `${guest.folder}/install.sh`, installScript(machine, profile, start, endpoint), small);
  await putSecrets(connection, guest, start.environment ?? {});
  const run = [`${bin}/nixproof-run`, guest.folder, machine.resolvePath(profile.deploy.to)];
  const started = await connection.exec([
    'sh',
    '-c',
    // systemd keeps a unit apart from our session; elsewhere a session of its own does. The sandbox is never systemd's.
    // One process that the kernel kills for want of memory is the installer's to deal with (systemd.service(5): OOMPolicy).
    `if [ -z "\${NIXPROOF_ROOT:-}" ] && [ -d /run/systemd/system ]; then
       [ -e "$1/pid" ] || systemctl is-active --quiet ${unitName(attempt)} || systemd-run --quiet --collect --unit=${unitName(attempt)} \\
         --property=KillMode=control-group --property=OOMPolicy=continue --setenv=HOME=/root --setenv=PATH="$PATH" --setenv=NIXPROOF_ROOT= ${quote(run)} || exit
     else
       setsid ${quote(run)} </dev/null >/dev/null 2>&1 &
     fi
     # Whoever follows it would wait in silence for one that never began.
     s=$(date +%s); until [ -s "$1/pid" ]; do [ $(($(date +%s) - s)) -le ${BEGINS_WITHIN_S} ] || { echo 'it did not begin' >&2; exit 1; }; sleep 0.1; done`,
    'sh',
    guest.folder,
  ]);
  requirePrograms(started);
  if (started.exitCode !== 0) {
    throw new NixproofError('MACHINE_START_FAILED', `the installer could not be started: ${started.stderr.trim()}`);
  }
}

/**
 * Shell function: `receive FILE BYTES` puts its input into FILE. Of an input that a lost connection
 * cut short, however late that is seen in the machine, nothing stays, and it fails.
 */
export const RECEIVE = `receive() {
  cat >"$1" || return
  [ "$(wc -c <"$1")" -eq "$2" ] || { rm -f "$1"; echo 'its end is missing' >&2; return 1; }
}
`;

/**
 * @param what was to be written in the machine.
 * @throws NixproofError `MACHINE_TOOL_MISSING`, `MACHINE_WRITE_FAILED`
 */
export function requireWritten(result: ExecResult, what: string): void {
  requirePrograms(result);
  if (result.exitCode === 0) return;
  throw new NixproofError('MACHINE_WRITE_FAILED', `cannot write ${what} in the machine: ${result.stderr.trim()}`);
}

/**
 * Writes files in the machine, each whole and executable, by one command: small ones are its
 * arguments, one is its input.
 */
export function putFilesCommand(file: string, content: string, small: ReadonlyMap<string, string>): readonly string[] {
  const script = `${RECEIVE}folder() { [ -d "\${1%/*}" ] || mkdir -p "\${1%/*}"; }
    file=$1; bytes=$2; shift 2
    folder "$file" && receive "$file.$$" "$bytes" || exit
    while [ $# -gt 0 ]; do
      folder "$1" && printf %s "$2" >"$1.$$" && chmod 755 "$1.$$" && mv "$1.$$" "$1" || exit
      shift 2
    done
    chmod 755 "$file.$$" && mv "$file.$$" "$file"`;
  return ['sh', '-c', script, 'sh', file, String(Buffer.byteLength(content)), ...[...small].flat()];
}

async function putFiles(
  connection: Connection,
  file: string,
  content: string,
  small: ReadonlyMap<string, string>,
): Promise<void> {
  const argv = putFilesCommand(file, content, small);
  requireWritten(await connection.exec(argv, { input: content }), file);
}

/**
 * The variables that no script has in it: read and removed by the script before the installer
 * begins.
 */
function secretsFile({ folder }: Pick<GuestAttempt, 'folder'>): string {
  return `${folder}/secrets.env`;
}

/**
 * They travel as a command's input. Where the attempt was claimed already, its installer has read
 * them.
 */
async function putSecrets(
  connection: Connection,
  guest: GuestAttempt,
  environment: NonNullable<Start['environment']>,
): Promise<void> {
  const input = exportsOf(environment);
  if (input === '') return;
  const script = `${RECEIVE}umask 077; receive "$1.$$" "$2" || exit
    if [ -e "$3" ]; then rm -f "$1.$$"; else mv "$1.$$" "$1"; fi`;
  const argv = ['sh', '-c', script, 'sh', secretsFile(guest), String(Buffer.byteLength(input)), guest.pid];
  requireWritten(await connection.exec(argv, { input }), 'the secret variables');
}

/** @throws NixproofError `HOST_TOOL_MISSING` */
async function requireHostTools(install: Installation): Promise<void> {
  for (const tool of hostToolsOf(install)) {
    if ((await findProgram(tool)) !== undefined) continue;
    throw new NixproofError('HOST_TOOL_MISSING', `${tool} is not on the PATH of the worker`, {
      hint: `kind ${install.kind} runs ${tool} of the worker's host: install it there`,
      details: { tool },
    });
  }
}

/** Of a machine that is installed from outside. */
function knownHostsOf({ folder }: GuestAttempt): string {
  return `${folder}/known_hosts`;
}

function installScript(machine: Machine, profile: Profile, start: Start, endpoint: Endpoint): string {
  const { install } = profile;
  const guest = guestAttempt(machine, start.attempt);
  const { disks } = start.target;
  const environment = {
    ...install.env,
    NIXPROOF_PROFILE: profile.name,
    NIXPROOF_DISK: disks[0] ?? '',
    NIXPROOF_DISKS: disks.join('\n'),
    NIXPROOF_FIRMWARE: profile.machine.firmware,
    NIXPROOF_BARRIER: start.barrier ? guest.barrier : '',
  };
  const bin = `${guestFolder(machine)}/bin`;
  // Programs of the host are those of its own PATH: what the configuration adds comes behind it.
  const first = hostToolsOf(install).length === 0 ? [bin] : [hostPath(), bin];
  const secret = secretsFile(guest);
  const hasSecrets = Object.keys(start.environment ?? {}).length > 0;
  const readSecrets = hasSecrets ? `. ${quote([secret])}\nrm -f ${quote([secret])}\n` : '';
  return scriptOf(
    environment,
    `export PATH=${quote([first.join(':')])}:"$PATH"\n[ -z "$NIXPROOF_BARRIER" ] || mkdir -p "$NIXPROOF_BARRIER"\n${bodyOf(install, { endpoint, knownHosts: knownHostsOf(guest) })}`,
    readSecrets,
  );
}

function bodyOf(install: Installation, target: Target): string {
  switch (install.kind) {
    case 'nixos':
      return nixosInstaller(install);
    case 'nix-check':
      return nixCheck(install);
    case 'nixos-anywhere':
      return nixosAnywhere(install, target);
    case 'script':
      return scriptInstaller(install);
  }
}

/**
 * A script for `nixproof-run`, with variables of its own.
 * @param before done before they are set
 */
export function scriptOf(environment: Readonly<Record<string, string>>, body: string, before = ''): string {
  return `#!/bin/sh\n${before}${exportsOf(environment)}${body}\n`;
}

function exportsOf(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `export ${name}=${quote([value])}\n`)
    .join('');
}

/** Kills the installer and all it started. Does nothing where it has ended. */
export async function killInstaller(machine: Machine, shell: Pick<Connection, 'exec'>, attempt: number): Promise<void> {
  const guest = guestAttempt(machine, attempt);
  await shell.exec([
    'sh',
    '-c',
    `systemctl kill --signal=SIGKILL ${unitName(attempt)} 2>/dev/null
     pid=$(cat "$1" 2>/dev/null) && kill -s KILL -- "-$pid" "$pid" 2>/dev/null
     true`,
    'sh',
    guest.pid,
  ]);
}
