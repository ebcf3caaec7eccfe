import type { FailureClass } from './diagnosis.js';
import type { FaultRequest } from './fault.js';

/** How a machine is driven. */
export const DRIVER_NAMES = ['qemu', 'libvirt', 'ssh', 'sandbox'] as const;
export type DriverName = (typeof DRIVER_NAMES)[number];

export type Firmware = 'uefi' | 'bios';

/** What executes a guest's instructions. `tcg`: QEMU's emulation, everywhere, ten times slower. */
export const ACCELERATORS = ['kvm', 'hvf', 'tcg'] as const;
export type Accelerator = (typeof ACCELERATORS)[number];

/**
 * What a guest may reach: the internet; nothing; or the internet and these ports of its host's
 * loopback, which it finds at 10.0.2.2 and fec0::2.
 */
export type GuestNetwork = 'internet' | 'none' | { readonly host: readonly number[] };

/** The hardware a profile asks for. */
export interface MachineShape {
  readonly memoryMiB: number;
  readonly cpus: number;
  /** Sizes of the target disks in bytes, in order; the first is what an installer finds in `$NIXPROOF_DISK`. */
  readonly diskBytes: readonly number[];
  readonly firmware: Firmware;
  /** Absent: `internet`. */
  readonly network?: GuestNetwork;
  /** For the libvirt driver: the network of libvirt it is plugged into; user-mode networking where there is none. */
  readonly libvirtNetwork?: string;
  /** What must execute its instructions; absent: the fastest that runs guests on its host. */
  readonly accelerator?: Accelerator;
}

/** What is copied into the machine before the installer runs. */
export interface Deployment {
  /** Absolute path of a folder on the host. */
  readonly from: string;
  /** Absolute path in the machine; the installer's working directory. */
  readonly to: string;
  /** Patterns in .gitignore's syntax. */
  readonly exclude: readonly string[];
}

/** What an installer may print where nothing else is said. */
export const MAX_LOG_BYTES = 4 * 2 ** 30;

/**
 * Where a secret's value comes from, on the host of the worker that needs it. Plain data, never the
 * value.
 */
export type SecretSource =
  | { readonly kind: 'env'; readonly name: string }
  /** Absolute path on the host. */
  | { readonly kind: 'file'; readonly path: string }
  /** Run in the configuration's folder; what it prints is the value. */
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly folder: string };

/** A file that is put into the installed system before its first boot. */
export interface InstalledFile {
  /** A secret's name, or the absolute path of a file on the host. */
  readonly content: { readonly secret: string } | { readonly from: string };
  /** Absolute path in the installed system. */
  readonly to: string;
  /** Octal, such as `0400`. */
  readonly mode: string;
}

interface InstallLimits {
  readonly timeoutMs: number;
  /** No output for so long is a stall. */
  readonly stallMs: number;
  /** More than so much output is too much; absent in older records: `MAX_LOG_BYTES`. */
  readonly maxLogBytes?: number;
  /** Whether the machine is restarted from the installed disk before it is checked. */
  readonly reboot: boolean;
  /** Set in the installer's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The same, of secrets: variable → the secret's name. */
  readonly secretEnv?: Readonly<Record<string, string>>;
}

export type Installation =
  | (InstallLimits & { readonly kind: 'script'; readonly run: string })
  | (InstallLimits & {
      readonly kind: 'nixos';
      /** A flake reference such as `.#vm`, relative to the deployed folder. */
      readonly flake: string;
      /** Whether disko partitions the disks from the flake's configuration first. */
      readonly disko: boolean;
    })
  | (InstallLimits & {
      /** A flake's own check, or any output of it, built on the host: no machine is installed. */
      readonly kind: 'nix-check';
      /** A flake reference such as `.#checks.x86_64-linux.boots`, relative to the deployed folder. */
      readonly flake: string;
    })
  | (InstallLimits & {
      /** nixos-anywhere, which runs on the host and installs the machine over SSH. */
      readonly kind: 'nixos-anywhere';
      /** A flake reference such as `.#vm`, relative to the deployed folder. */
      readonly flake: string;
      readonly phases: readonly AnywherePhase[];
      /** More arguments of nixos-anywhere. */
      readonly args: readonly string[];
    });

/** The phases of nixos-anywhere that a run may ask for: it is the bench that restarts the machine. */
export type AnywherePhase = 'kexec' | 'disko' | 'install';

/** Who logs in for a check; the bench's own login where absent. */
export interface Login {
  readonly user: string;
  /** Absolute path of a private key on the host. */
  readonly key: string;
}

/** One thing verified on the installed system. */
export type Check = { readonly name: string; readonly login?: Login } & (
  | { readonly kind: 'run'; readonly run: string; readonly expect?: string; readonly match?: string }
  | { readonly kind: 'service'; readonly service: string }
  | { readonly kind: 'units' }
  | { readonly kind: 'reboot'; readonly times: number }
);

/** A heal the user wrote in the configuration. */
export interface UserHeal {
  readonly name: string;
  readonly for: FailureClass;
  readonly confidence: number;
  readonly run: readonly string[];
  /** Files written into the deployed tree: path → content. */
  readonly config: Readonly<Record<string, string>>;
  readonly undo: readonly string[];
  readonly resume: 'phase' | 'rerun';
}

/** What is done about a failed installer. */
export const HEAL_POLICIES = ['auto', 'race', 'ask', 'never'] as const;

/**
 * `auto`: what is at least as sure as the threshold is applied, one after the other; `race`: the best of them at once, each on a
 * copy of the failed machine, where its driver can make one; `ask`: a person approves each; `never`: a failure ends the run.
 */
export interface HealingPolicy {
  readonly policy: (typeof HEAL_POLICIES)[number];
  readonly threshold: number;
  readonly max: number;
  /** How long a heal waits for a person where the policy is `ask`. */
  readonly askMs: number;
  readonly heals: readonly UserHeal[];
}

/** What a host command does to a machine that exists already; `ready` only asks. */
export type PowerCommand = 'reset' | 'start' | 'stop' | 'ready';

/** A machine that exists already, as the configuration describes it: what the ssh driver works with. Plain data. */
export interface ExistingMachine {
  readonly name: string;
  /** A host name or an IP address. With the port it is the machine's identity, whatever it is called. */
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Absolute path of a private key on the bench's host. */
  readonly key: string;
  /** The pristine system's host key, `ssh-ed25519 AAAA…`; absent: the first one seen is pinned. */
  readonly hostKey?: string;
  /** Whether a reset gives it a new host key, which is then pinned for one run only. */
  readonly hostKeyChangesOnReset: boolean;
  /** Absolute paths of its target disks, as its live system names them. */
  readonly disks: readonly string[];
  /** Shell commands of the bench's host, those that were given. */
  readonly commands: Readonly<Partial<Record<PowerCommand, string>>>;
  /** Absolute path of the folder they run in: the configuration's. */
  readonly folder: string;
  /** How long one of them may take. */
  readonly commandTimeoutMs: number;
  /** How long the machine may take until it answers SSH. */
  readonly bootTimeoutMs: number;
}

/** The steps of a run that a profile may limit, beside its installer. */
export type LimitedStep = 'machine' | 'deploy' | 'boot' | 'checks' | 'collect';

/** What a machine boots where nothing is said. */
export const DEFAULT_BASE = 'debian';

/** A profile with every default filled in and every path absolute: what a run is asked to do. Plain data. */
export interface Profile {
  readonly name: string;
  /** What the machine boots (`nixos`, `debian`, `disk:PATH`, `iso:…`); absent for drivers that boot nothing. */
  readonly base?: string;
  /** Absent where the user left the choice to us. */
  readonly driver?: DriverName;
  readonly machine: MachineShape;
  /** What its host must have, by label; absent: nothing. */
  readonly labels?: readonly string[];
  /** For the ssh driver: the machines it may use, any of them. */
  readonly hosts?: readonly ExistingMachine[];
  readonly deploy: Deployment;
  readonly install: Installation;
  /** Put into the installed system before its first boot; absent: none. */
  readonly files?: readonly InstalledFile[];
  /** Where the secrets come from that it uses, by name; absent: it uses none. */
  readonly secrets?: Readonly<Record<string, SecretSource>>;
  readonly checks: readonly Check[];
  readonly healing: HealingPolicy;
  /** How long each step may take, milliseconds; absent: as long as the bench lets it. */
  readonly timeouts?: Readonly<Partial<Record<LimitedStep, number>>>;
  /**
   * Set if the configuration is not trusted: it may run nothing on a host, and read only what is in
   * its repository there. `base`: whether the command line has chosen what it boots.
   */
  readonly untrusted?: { readonly repository: string; readonly base: boolean };
  /** What `--drill` injects, a run each; absent: all that its machine can suffer. */
  readonly drills?: readonly FaultRequest[];
}
