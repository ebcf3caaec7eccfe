import type { HealPlan } from '../../domain/heal.js';

/**
 * What every command of the catalogue may count on, beside a POSIX shell as root. The environment is the applier's:
 * `NIXPROOF_NOW` (the host's time, seconds since the epoch), `NIXPROOF_DISK`, `NIXPROOF_DISKS`, `NIXPROOF_TREE`,
 * `NIXPROOF_FIRMWARE`, and `NIXPROOF_HEAL`, the heal's number in its run. `$root` stands before absolute paths: it is empty but
 * in a sandbox. `$state` is a folder for what undoing needs; it is made by whoever writes to it. A command may be run twice
 * and leaves the same. It ends by itself within ten minutes, and not with 0 where it could not do its work.
 */
const PRELUDE = `set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/run/current-system/sw/bin
root=\${NIXPROOF_ROOT:-}
die() { echo "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }`;

/** A kernel, network or device of a sandbox is that of the bench's own host. */
const NOT_IN_A_SANDBOX = `[ -z "$root" ] || die 'not in a sandbox: it would change the host'`;

/** Shell text as a command of a heal, for a machine only. */
export function onMachine(heal: string, ...script: readonly string[]): string {
  return anywhere(heal, NOT_IN_A_SANDBOX, ...script);
}

/** Shell text as a command of a heal that changes files below `$root` only. */
export function anywhere(heal: string, ...script: readonly string[]): string {
  return [PRELUDE, `state=$root/var/lib/nixproof/heals/${heal}-\${NIXPROOF_HEAL:-0}`, ...script].join('\n');
}

/** A plan with everything that is not said left out. */
export function planOf(plan: Partial<HealPlan>): HealPlan {
  return { commands: [], undo: [], edits: [], resume: 'phase', ...plan };
}

/** Free space of the file system that holds a path, KiB. */
export const FREE_KIB = `free() { df -Pk "$1" | { read -r _; read -r _ _ _ kib _; echo "$kib"; }; }`;
