import { posix } from 'node:path';
import { z } from 'zod';
import { ACCELERATORS, DRIVER_NAMES, type LimitedStep } from '../domain/profile.js';
import { LABEL } from '../host/labels.js';
import { anywhereArguments, anywherePhases } from './anywhere-schema.js';
import { base } from './base.js';
import { check } from './check-schema.js';
import { parseFault } from './fault-spec.js';
import { duration, machinePath, patterned, section, size, text, variableName, wholeNumber } from './fields.js';
import { machineName } from './machine-schema.js';
import { describeIssue, expectedOneOf } from './messages.js';
import { installedFile, secretReference } from './secrets-schema.js';

const INSTALL_KINDS = ['script', 'nixos', 'nix-check', 'nixos-anywhere'] as const;

/**
 * What is not copied unless the user says otherwise: history, Nix's result links, direnv's cache and installed packages, all
 * of which are large, made again from the rest, or meant for the host.
 */
export const DEFAULT_EXCLUDE: readonly string[] = ['.git', '/result', '/result-*', '.direnv', 'node_modules'];

const machine = section({
  memory: wholeNumber(128, 1_048_576, 'MiB')
    .optional()
    .describe('Memory in MiB. Default: 4096 for kinds nixos and nixos-anywhere, else 2048.'),
  cpus: wholeNumber(1, 256).default(2).describe('Virtual CPUs.'),
  disks: z
    .array(size)
    .min(1)
    .max(16)
    .default(['20G'])
    .describe('Sizes of the target disks, in order; the first is $NIXPROOF_DISK.'),
  firmware: z.enum(['uefi', 'bios']).default('uefi').describe('What the machine boots with.'),
  accelerator: z
    .enum(['auto', ...ACCELERATORS])
    .default('auto')
    .describe('What executes its instructions; auto: the fastest that runs guests on its host.'),
});

const network = z
  .union([
    z.enum(['internet', 'none']),
    section({
      host: z
        .array(wholeNumber(1, 65_535))
        .min(1)
        .describe("Ports of its host's loopback that it may reach besides the internet, at 10.0.2.2 and fec0::2."),
    }),
  ])
  .default('internet')
  .describe(
    'What the machine may reach: internet, none, or { host: [PORTS] }. Its host and its host’s networks are never part of the internet.',
  );

const deploy = section({
  from: text('the path of a folder')
    .default('.')
    .describe("The folder to copy, relative to the configuration's folder."),
  to: machinePath
    .default('/root/config')
    .describe("Where it is put in the machine: the installer's working directory."),
  exclude: z
    .array(text("a pattern in .gitignore's syntax"))
    .default([...DEFAULT_EXCLUDE])
    .describe("What is not copied: patterns in .gitignore's syntax."),
});

const limits = {
  timeout: duration.default('2h').describe('How long the installer may take.'),
  stall: duration.default('15m').describe('How long the installer may print nothing before it counts as stalled.'),
  maxLog: size.default('4G').describe('How much the installer may print until it is stopped.'),
  reboot: z
    .boolean()
    .default(true)
    .describe('Whether the machine is restarted from the installed disk before it is checked.'),
  env: z
    .record(
      variableName,
      // The value is not shown: it may be a secret.
      z.union([z.string(), secretReference], {
        error: (issue) =>
          `expected text or { secret: NAME }, got a value of type ${typeof issue.input}; put it in quotes`,
      }),
    )
    .default({})
    .describe(
      "Set in the installer's environment: text, which is recorded with the run, or `{ secret: NAME }`, which is not.",
    ),
};

const scriptInstall = section({
  kind: z.literal('script').describe('Any installer that a shell can start.'),
  run: text('a shell command').describe('The shell command that installs, started in `deploy.to`.'),
  ...limits,
}).describe('An installer script.');

const nixosInstall = section({
  kind: z.literal('nixos').describe('nixos-install from a flake.'),
  flake: patterned('a flake reference such as .#vm', /^[^#\s]*#[^#\s]+$/).describe(
    'The flake and the name in its nixosConfigurations, such as `.#vm`, relative to the deployed folder.',
  ),
  disko: z.boolean().default(true).describe("Whether disko partitions the disks from the flake's configuration first."),
  ...limits,
}).describe('A NixOS flake.');

const nixCheck = section({
  kind: z.literal('nix-check').describe('A check of a flake, built on this host.'),
  flake: patterned('a flake reference such as .#checks.x86_64-linux.boots', /^[^#\s]*#[^#\s]+$/).describe(
    'The flake and the output that is built, such as `.#checks.x86_64-linux.boots`, relative to the deployed folder.',
  ),
  timeout: limits.timeout,
  stall: limits.stall,
  maxLog: limits.maxLog,
  env: limits.env,
}).describe("A flake's own check.");

const nixosAnywhere = section({
  kind: z.literal('nixos-anywhere').describe('nixos-anywhere, run on this host.'),
  flake: patterned('a flake reference such as .#vm', /^[^#\s]*#[^#\s]+$/).describe(
    'The flake and the name in its nixosConfigurations, such as `.#vm`, relative to the deployed folder.',
  ),
  phases: anywherePhases,
  args: anywhereArguments,
  ...limits,
}).describe('nixos-anywhere.');

const install = z.discriminatedUnion('kind', [scriptInstall, nixosInstall, nixCheck, nixosAnywhere], {
  error: (issue) => (isMapping(issue.input) ? expectedOneOf(INSTALL_KINDS, issue.input['kind']) : describeIssue(issue)),
});

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const timeouts = section({
  machine: duration.optional().describe('Until there is a machine, the wait for room on the host included.'),
  deploy: duration.optional().describe('Copying the configuration.'),
  boot: duration.optional().describe('From power-on of the installed system until it answers SSH.'),
  checks: duration.optional().describe('All checks together.'),
  collect: duration.optional().describe('Collecting logs at the end.'),
} satisfies Record<LimitedStep, unknown>);

const drill = text('a fault such as dns-broken or tmp-full@NIX_BUILD').superRefine((spec, context) => {
  const parsed = parseFault(spec);
  if (!parsed.ok) context.addIssue({ code: 'custom', message: parsed.problem });
});

/** Files that are put where another one of them is, or below it. */
function clashes(targets: readonly string[]): readonly { readonly index: number; readonly message: string }[] {
  const places = targets.map((to) => posix.normalize(to));
  return places.flatMap((place, index) => {
    const other = places.findIndex((one, at) => (one === place ? at < index : place.startsWith(`${one}/`)));
    if (other < 0) return [];
    const message =
      places[other] === place
        ? `expected a place of its own: files[${other}] is put there too`
        : `${places[other]} is a file (files[${other}]), so nothing can be below it`;
    return [{ index, message }];
  });
}

export const profile = section({
  base: base
    .optional()
    .describe(
      'What the pristine machine boots: nixos, debian, disk:PATH or iso:PATH_OR_URL#SHA256. Default for kinds nixos and nixos-anywhere: nixos.',
    ),
  driver: z.enum(DRIVER_NAMES).optional().describe('How the machine is driven. Default: what works on this host.'),
  machine: machine.prefault({}).describe('The hardware.'),
  network,
  labels: z
    .array(patterned('a label (at most 63 letters, digits, dots, dashes and underscores)', LABEL))
    .min(1)
    .optional()
    .describe('Labels that the host of its machine must have, such as kvm or big.'),
  machines: z
    .array(machineName)
    .min(1)
    .optional()
    .describe('For driver ssh: the names of the machines it may use. Default: any.'),
  deploy: deploy.prefault({}).describe('What is copied into the machine before the installer runs.'),
  install: install.describe('How the system is installed.'),
  files: z
    .array(installedFile)
    .default([])
    .describe('Files that are put into the installed system before its first boot.'),
  checks: z.array(check).default([]).describe('What is verified on the installed system, in order.'),
  timeouts: timeouts
    .optional()
    .describe(
      "How long the steps may take beside the installer's own `timeout`. Default: what is usual for the driver.",
    ),
  drills: z
    .array(drill)
    .min(1)
    .optional()
    .describe(
      'What `nixproof test --drill` makes go wrong, a run each: FAULT or FAULT@PHASE. Default: all that the machine can suffer.',
    ),
}).superRefine(({ install, driver, files }, context) => {
  if (files.length > 0 && (install.kind === 'nix-check' || install.kind === 'nixos-anywhere')) {
    const message =
      install.kind === 'nix-check'
        ? 'expected none: kind nix-check installs no system'
        : 'expected none: nixos-anywhere unmounts what it installs; give it --extra-files in install.args';
    context.addIssue({ code: 'custom', path: ['files'], message });
  }
  for (const { index, message } of clashes(files.map(({ to }) => to))) {
    context.addIssue({ code: 'custom', path: ['files', index, 'to'], message });
  }
  if (install.kind !== 'nix-check' || driver === undefined || driver === 'sandbox') return;
  const message = `expected none, got ${JSON.stringify(driver)}: kind nix-check is built on this host`;
  context.addIssue({ code: 'custom', path: ['driver'], message });
});

/** A profile as the configuration has it, validated, with the defaults that depend on nothing. */
export type ProfileConfig = z.output<typeof profile>;
