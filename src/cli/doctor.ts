import { statfs } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import type { Command } from 'commander';
import { hasCode, messageOf, NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { bytesText } from '../reports/quantities.js';
import { painter } from '../reports/terminal.js';
import { accelerator, base, firmware, type Finding } from './doctor-machines.js';
import type { ServerUse } from './server.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

interface HostCheck {
  readonly name: string;
  /** Whether nixproof is of no use without it. */
  readonly needed: boolean;
  readonly look: (session: Session) => Promise<Finding>;
}

const LOW_DISK_BYTES = 10 * 1024 ** 3;
const LOW_MEMORY_BYTES = 2 * 1024 ** 3;

/** Everything `nixproof doctor` looks at, in the order it is shown. */
const CHECKS: readonly HostCheck[] = [
  { name: 'node', needed: true, look: async () => ({ status: 'ok', detail: process.version }) },
  { name: 'home', needed: true, look: home },
  { name: 'files', needed: false, look: files },
  { name: 'memory', needed: false, look: memory },
  { name: 'temporal', needed: true, look: temporal },
  { name: 'key', needed: true, look: key },
  { name: 'tar', needed: true, look: tar },
  { name: 'qemu', needed: false, look: (session) => driver(session, 'qemu') },
  { name: 'libvirt', needed: false, look: (session) => driver(session, 'libvirt') },
  { name: 'accelerator', needed: false, look: accelerator },
  { name: 'firmware', needed: false, look: firmware },
  {
    name: 'mmdebstrap',
    needed: false,
    look: (session) => tool(session, 'mmdebstrap', 'sudo apt-get install mmdebstrap', 'builds the debian base'),
  },
  {
    name: 'mkfs.ext4',
    needed: false,
    look: (session) => tool(session, 'mkfs.ext4', 'sudo apt-get install e2fsprogs', 'makes its disk', ['-V']),
  },
  {
    name: 'ssh',
    needed: false,
    look: (session) => tool(session, 'ssh', 'sudo apt-get install openssh-client', 'for `nixproof vm ssh`', ['-V']),
  },
  {
    name: 'nix',
    needed: false,
    look: (session) => tool(session, 'nix', 'sudo apt-get install nix-bin', 'lists the hosts of a flake'),
  },
  {
    name: 'nixos-anywhere',
    needed: false,
    look: (session) =>
      tool(
        session,
        'nixos-anywhere',
        'nix profile install github:nix-community/nixos-anywhere',
        'for `kind: nixos-anywhere`',
        ['--help'],
      ),
  },
];

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('what this host can do, what is missing, and the command that mends it')
    .option('--json', 'print JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof doctor')
    .action((options: CommonOptions) => runCommand(options, doctor));
}

async function doctor(session: Session): Promise<number> {
  const checks = [];
  const { BASE_NAMES } = await import('../bases/registry.js');
  const bases = BASE_NAMES.map((name) => ({
    name: `base:${name}`,
    needed: false,
    look: (on: Session) => base(on, name),
  }));
  for (const { name, needed, look } of [...CHECKS, ...bases]) {
    const finding = await look(session).catch(findingOf);
    checks.push({ name, needed, ...finding });
    if (!session.json) show(session, name, finding);
  }
  const ok = checks.every(({ needed, status }) => !needed || status === 'ok');
  if (session.json) {
    const shown = checks.map(({ name, status, detail, fix = '', proof }) => ({ name, status, detail, fix, proof }));
    session.printJson({ ok, checks: shown });
  }
  return ok ? EXIT.ok : EXIT.fault;
}

function findingOf(error: unknown): Finding {
  const { code, hint } = error instanceof NixproofError ? error : {};
  return {
    status: code === 'HOST_TOOL_MISSING' || code === 'HOST_QEMU_MISSING' ? 'missing' : 'broken',
    detail: messageOf(error),
    ...(hint === undefined ? {} : { fix: hint }),
  };
}

function show(session: Session, name: string, { status, detail, fix }: Finding): void {
  const paint = painter(session.colour);
  const signs = { ok: paint('green', '✓'), optional: '·', missing: paint('yellow', '✗'), broken: paint('yellow', '✗') };
  session.say(`${signs[status]} ${name.padEnd(14)} ${detail}`);
  if (fix !== undefined) session.say(`  ${' '.repeat(14)} ${paint('cyan', fix)}`);
}

async function home({ layout }: Session): Promise<Finding> {
  const { makeFolder } = await import('../host/files.js');
  await makeFolder(layout.home);
  const { bavail, bsize } = await statfs(layout.home);
  const free = bavail * bsize;
  const detail = `${layout.home}, ${bytesText(free)} free`;
  return free >= LOW_DISK_BYTES ? { status: 'ok', detail } : { status: 'broken', detail, fix: 'nixproof cleanup' };
}

async function files({ layout }: Session): Promise<Finding> {
  const { openFolders } = await import('./doctor-files.js');
  const open = await openFolders(layout);
  if (open.length === 0) return { status: 'ok', detail: 'no other user of this host reaches them' };
  const detail = `other users of this host may look into ${open.join(', ')}`;
  return { status: 'broken', detail, fix: `chmod go= ${open.join(' ')}` };
}

async function memory(): Promise<Finding> {
  const detail = `${bytesText(freemem())} of ${bytesText(totalmem())} free, ${availableParallelism()} cores`;
  if (freemem() >= LOW_MEMORY_BYTES) return { status: 'ok', detail };
  return { status: 'broken', detail, fix: 'give profiles less `memory`, or end other programs' };
}

async function temporal(session: Session): Promise<Finding> {
  const { serverFromEnvironment } = await import('../temporal/server-address.js');
  const { connectClient, hasNamespace } = await import('../client.js');
  const { sealingKey } = await import('../temporal/key.js');
  const elsewhere = serverFromEnvironment();
  if (!elsewhere) return localServer(session);
  await using link = await connectClient(elsewhere, await sealingKey(session.layout));
  const detail = `${link.address}, namespace ${link.namespace}`;
  if (!(await hasNamespace(link))) {
    const fix = `temporal operator namespace create --namespace ${link.namespace}`;
    return { status: 'broken', detail: `${link.address} has no namespace ${link.namespace}`, fix };
  }
  if (link.searchAttributes) return { status: 'ok', detail };
  const { SEARCH_ATTRIBUTES } = await import('../domain/names.js');
  const names = Object.values(SEARCH_ATTRIBUTES)
    .map((name) => `--name ${name} --type Keyword`)
    .join(' ');
  return {
    status: 'ok',
    detail: `${detail}; our search attributes are missing, runs go on without them`,
    fix: `temporal operator search-attribute create --namespace ${link.namespace} ${names}`,
  };
}

async function localServer({ signal, progress }: Session): Promise<Finding> {
  const { findTemporalServer } = await import('../stack/server/temporal-server.js');
  const found = await findTemporalServer({ work: { signal, progress } });
  if (found) return { status: 'ok', detail: `${found.file} (${found.version})` };
  return { status: 'ok', detail: 'no server yet: the first test gets one and caches it', fix: 'nixproof up' };
}

/**
 * The key of this home, and what of the server at hand another one seals: a worker with that is a
 * fault, for it takes orders that it then refuses.
 */
async function key(session: Session): Promise<Finding> {
  const { serverFromEnvironment } = await import('../temporal/server-address.js');
  const { findKey } = await import('../temporal/key.js');
  const { findStackKey } = await import('../stack/membership/stack-key.js');
  const own = await (serverFromEnvironment() ? findKey : findStackKey)(session.layout);
  if (!own) return { status: 'ok', detail: 'none yet: the first test makes one' };
  const detail = `${own.id}, ${own.file}`;
  await using server = await answeringServer(session);
  if (!server) return { status: 'ok', detail: `${detail}; not compared with a server's: none is at hand` };
  const { otherKeys } = await import('../temporal/other-keys.js');
  const { requireSameKey } = await import('../temporal/host-directory.js');
  const { otherKeysText, OTHER_KEYS_HINT } = await import('./server.js');
  const others = await otherKeys(server.link);
  if (others.keys.length === 0) return { status: 'ok', detail };
  const said = `${detail}; ${otherKeysText(others)}`;
  try {
    await requireSameKey(server.link.client);
    return { status: 'ok', detail: said, fix: OTHER_KEYS_HINT };
  } catch (error) {
    if (!hasCode(error, 'SERVER_KEY_DIFFERS')) throw error;
    return { status: 'broken', detail: `${said}: ${error.message}`, fix: OTHER_KEYS_HINT };
  }
}

/** Undefined where no server runs, or none answers, or it lacks the namespace: `temporal` says that. */
async function answeringServer(session: Session): Promise<ServerUse | undefined> {
  const { serverAtHand } = await import('./server.js');
  const { hasNamespace } = await import('../client.js');
  const { server } = await serverAtHand(session).catch((error: unknown) => {
    if (hasCode(error, 'SERVER_UNREACHABLE')) return { server: undefined };
    throw error;
  });
  if (!server || (await hasNamespace(server.link))) return server;
  await server[Symbol.asyncDispose]();
  return undefined;
}

async function tar({ signal }: Session): Promise<Finding> {
  const { findTar } = await import('../host/tree/archive.js');
  return { status: 'ok', detail: `${await findTar(signal)} copies folders` };
}

async function driver(session: Session, name: 'qemu' | 'libvirt'): Promise<Finding> {
  const { createRegistry } = await import('../machines/registry.js');
  const probe = await createRegistry(session.layout).driver(name).probe(session);
  if (probe.available) return { status: 'ok', detail: probe.detail };
  const { message, hint } = probe.reason;
  return { status: 'missing', detail: message, ...(hint === undefined ? {} : { fix: hint }) };
}

async function tool(
  session: Session,
  file: string,
  fix: string,
  purpose: string,
  args = ['--version'],
): Promise<Finding> {
  const { runCommand: run } = await import('../host/process.js');
  try {
    const output = await run(file, args, { signal: session.signal, timeoutMs: 10_000 });
    return { status: 'ok', detail: output.split('\n')[0]?.trim() || purpose };
  } catch (error) {
    session.signal.throwIfAborted();
    if (!(error instanceof NixproofError)) throw error;
    return {
      status: error.code === 'HOST_TOOL_MISSING' ? 'missing' : 'broken',
      detail: `${error.message} (${purpose})`,
      fix,
    };
  }
}
