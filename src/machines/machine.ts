import type { Duplex, Readable } from 'node:stream';
import type { NixproofError } from '../domain/error.js';
import type { DriverName, ExistingMachine, MachineShape } from '../domain/profile.js';
import type { Work } from '../domain/work.js';
import type { ProcessIdentity } from '../host/process.js';

export type { Work };

/** What a driver is asked for. Giving the same request twice gives the same machine. */
export interface MachineRequest {
  /** Names the machine for good: letters, digits, dashes. */
  readonly id: string;
  /** What the machine boots; drivers that boot nothing ignore it. */
  readonly base: string | undefined;
  readonly shape: MachineShape;
  /** For the ssh driver: the machines it may use, any of them. */
  readonly hosts?: readonly ExistingMachine[];
}

/** What is known of a machine without touching it. Kept in `machines/<id>/machine.json`. */
export interface MachineInfo {
  readonly id: string;
  readonly driver: DriverName;
  readonly base: string | undefined;
  readonly createdAt: string;
}

/** Whether a driver can work on this host, found by trying rather than by looking for files. */
export type DriverProbe =
  | {
      readonly available: true;
      /** How it works here, for people: `QEMU 7.2, tcg (kvm opens, but kills its guest)`. */
      readonly detail: string;
    }
  | { readonly available: false; readonly reason: NixproofError };

/** How machines of one kind are made, found again and destroyed. */
export interface Driver {
  readonly name: DriverName;
  probe(work: Work): Promise<DriverProbe>;

  /**
   * Makes a pristine machine and resolves when it answers SSH. Idempotent: finds the one it made before under the same id,
   * and starts over where it finds a half-made one.
   * @throws NixproofError `HOST_*` (no memory, no disk, no tool), `HOST_BASE_MISSING`,
   * `MACHINE_NEVER_BOOTED` (with the console's tail in its details)
   */
  create(request: MachineRequest, work: Work): Promise<Machine>;

  /**
   * A machine that was made before, by this process or another.
   * @throws NixproofError `MACHINE_GONE` where there is none, or none that runs
   */
  attach(id: string, work: Work): Promise<Machine>;

  list(): Promise<readonly MachineStatus[]>;

  /** Removes a machine and everything it has on the host. Does nothing where there is none. */
  destroy(id: string, work: Work): Promise<void>;
}

export interface MachineStatus extends MachineInfo {
  readonly state: 'running' | 'stopped';
  /** Space its disks take on the host, bytes. */
  readonly diskBytes: number;
}

/** One machine on which one test runs. Disposing closes our connections to it; the machine goes on. */
export interface Machine extends AsyncDisposable {
  readonly info: MachineInfo;
  /** How it runs, for the report: `qemu 7.2, tcg, uefi`. */
  readonly detail: string;
  /**
   * Whether its kernel, network, devices and services are this host's own; absent where it has its
   * own. Then nothing may be changed in it but files below its root.
   */
  readonly sharesSystem?: true;
  /** Absolute paths of the target disks as the installer sees them. */
  readonly disks: readonly string[];

  /** Where an absolute path of the machine really is; only the sandbox maps it. */
  resolvePath(path: string): string;

  /** Where and as whom to log in, for `ssh` by hand and for checks that log in as somebody else. */
  endpoint(): Promise<Endpoint>;

  /** Our connection, made or made again where it was lost. @throws NixproofError `TRANSPORT_*`, `MACHINE_GONE` */
  connect(work: Work): Promise<Connection>;

  /** Whether it still runs (the process, the domain): what tells a lost connection from a dead machine. */
  isRunning(): Promise<boolean>;

  /**
   * Starts the machine again from the disk that was installed, without the live system, and resolves when it answers SSH.
   * This is where its host key may change once. Idempotent: a machine that runs from its installed disk already is left alone.
   * @param deadlineMs how long it may take; absent: as the driver has it
   * @throws NixproofError `MACHINE_NEVER_BOOTED` with the console's tail in its details
   */
  restartInstalled(work: Work, deadlineMs?: number): Promise<void>;

  /** Reboots what runs and resolves when it answers SSH as a new boot. */
  reboot(work: Work): Promise<void>;

  /** The serial console's log on the host, where the machine has one. */
  readonly consoleLog?: string;

  /** The process on this host that is the machine, while there is one; absent where the machine is none. */
  readonly hostProcess?: () => Promise<ProcessIdentity | undefined>;

  /** The abilities that not every driver has: absent where this machine has them not. */
  readonly checkpoints?: Checkpoints;
  readonly console?: GuestConsole;
  readonly screen?: Screen;
  readonly cable?: NetworkCable;
  /** Ends the machine as a power cut does. Afterwards it no longer runs; a checkpoint may bring it back. */
  readonly crash?: () => Promise<void>;
}

/** One frozen state of a machine. */
export interface CheckpointRecord {
  readonly name: string;
  /** ISO 8601. */
  readonly takenAt: string;
  /** How long the guest stood still for it, milliseconds. */
  readonly tookMs: number;
  /** What it takes on the host beside the disks' own data: the guest's memory and devices. */
  readonly bytes: number;
}

/** Frozen states of a running machine: memory, devices, every disk and the firmware's variables, at one moment. */
export interface Checkpoints {
  /**
   * Freezes the machine under a name and lets it go on. A name that is taken already is left as it is. The oldest ones go where
   * the driver's budget of disk is used up.
   * @throws NixproofError `HOST_DISK_FULL`, `MACHINE_GONE`, `MACHINE_CHECKPOINT`
   */
  take(name: string, work: Work): Promise<CheckpointRecord>;
  /**
   * Puts the machine back into a state, whether it runs or its process was killed, and resolves when it answers SSH with its
   * clock set and its entropy fresh. Connections that were open are lost. May be done again and again.
   * @throws NixproofError `MACHINE_CHECKPOINT_MISSING`, `MACHINE_NEVER_BOOTED`
   */
  restore(name: string, work: Work): Promise<void>;
  /** Oldest first. */
  list(): Promise<readonly CheckpointRecord[]>;
  /**
   * Makes another machine that goes on from a checkpoint of this one, whose guest stands still while its disks are copied. It has
   * this machine's checkpoints and identity; whoever makes it destroys it. Idempotent by `id`. Absent where the driver cannot.
   * @returns false where the host has no room for it now
   * @throws NixproofError `MACHINE_CHECKPOINT_MISSING`, `MACHINE_NEVER_BOOTED`
   */
  readonly fork?: (name: string, id: string, work: Work) => Promise<boolean>;
}

/** A root shell beside the network: the way in when SSH is dead. */
export interface GuestConsole {
  /** Runs a command in the guest. Its two outputs come as one, in `stdout`. @throws NixproofError `TRANSPORT_*` */
  exec(argv: readonly string[], options?: Pick<ExecOptions, 'signal' | 'timeoutMs' | 'raw'>): Promise<ExecResult>;
  /** The terminal as it is, for a person; nobody else can use it until the stream is closed. @throws NixproofError `TRANSPORT_*` */
  attach?(work: Work): Promise<Duplex>;
}

/** What the machine shows on its screen. */
export interface Screen {
  /** Writes a PNG. */
  screenshot(file: string, work: Work): Promise<void>;
}

/** The cable of the machine's network card. */
export interface NetworkCable {
  setPlugged(plugged: boolean): Promise<void>;
}

/** What an SSH client needs. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Path of the private key. */
  readonly keyFile: string;
  /** The pinned host key, as in known_hosts (`ssh-ed25519 AAAA…`); undefined before the first connection after an install. */
  readonly hostKey: string | undefined;
}

export interface ExecOptions {
  readonly signal?: AbortSignal;
  /** After so long the command is given up: `TRANSPORT_TIMEOUT`. Default: one minute. */
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array | Readable;
  /** How much of stdout and of stderr is kept, from the beginning; default 1 MiB. */
  readonly maxBytes?: number;
  /**
   * What the command prints on both streams when its work is done: the call ends there, though a
   * child that was left behind still holds the streams open. That child is left alone.
   */
  readonly endMark?: string;
  /** What it prints is decoded or summed, never kept or shown: secrets in it are not masked. */
  readonly raw?: boolean;
}

export interface ExecResult {
  /** Whether secrets were masked in what it printed; absent: none were. */
  readonly redacted?: true;
  /** 128 + signal where a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /**
   * What stood between `endMark` and the next NUL on stdout; absent where the command ended without
   * it.
   */
  readonly parting?: string;
}

/** One SSH connection. Commands are argv arrays, quoted for the remote shell here and nowhere else. */
export interface Connection extends AsyncDisposable {
  /** False once it was lost or disposed of. */
  readonly isOpen: boolean;

  /** Runs a command to its end. A failing command is a result, not an error. @throws NixproofError `TRANSPORT_*` */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;

  /**
   * Runs a command and hands out its standard output as it comes, with back-pressure down to the
   * remote process. The stream ends when the command does, or is destroyed with `TRANSPORT_LOST`.
   * Destroying it ends the command. Its bytes are as the machine sends them: who keeps them masks
   * the secrets in them.
   */
  stream(argv: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<Readable>;
}
