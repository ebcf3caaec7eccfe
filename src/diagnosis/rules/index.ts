import { BOOTLOADER } from './bootloader.js';
import { CACHE } from './cache.js';
import { DISK_BUSY, DISK_FULL, DISK_NOT_FOUND, DISK_PARTITION } from './disk.js';
import { HARDWARE, KEXEC } from './hardware.js';
import { HINTS } from './hints.js';
import { MEMORY } from './memory.js';
import { MOUNT } from './mount.js';
import { DNS, HTTP, RATE_LIMIT, UNREACHABLE } from './network.js';
import { NIX_BUILD } from './nix-build.js';
import { NIX_DAEMON } from './nix-daemon.js';
import { NIX_EVAL } from './nix-eval.js';
import { NIX_FLAKE } from './nix-flake.js';
import type { Rule } from './rule.js';
import { SECRETS } from './secrets.js';
import { SERVICE } from './service.js';
import { SSH_AUTH, SSH_CONNECTION } from './ssh.js';
import { TIMEOUT } from './timeout.js';
import { USER_INPUT } from './user.js';

/** Every rule. The order means nothing: confidence and causes decide. */
export const RULES: readonly Rule[] = [
  DISK_FULL,
  DISK_NOT_FOUND,
  DISK_BUSY,
  DISK_PARTITION,
  MOUNT,
  DNS,
  UNREACHABLE,
  HTTP,
  RATE_LIMIT,
  CACHE,
  MEMORY,
  NIX_EVAL,
  NIX_BUILD,
  NIX_DAEMON,
  NIX_FLAKE,
  BOOTLOADER,
  HARDWARE,
  KEXEC,
  SSH_AUTH,
  SSH_CONNECTION,
  SECRETS,
  USER_INPUT,
  TIMEOUT,
  SERVICE,
  HINTS,
].flat();
