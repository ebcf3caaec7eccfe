/**
 * What every script of a fault may count on. The environment is the injector's: `NIXPROOF_DISK`, `NIXPROOF_DISKS`,
 * `NIXPROOF_TREE`. `$root` stands before absolute paths: it is empty but in a sandbox. `$state` is a folder for what taking it
 * back needs; `$state/done` says that it was injected.
 */
const PRELUDE = `set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/run/current-system/sw/bin
root=\${NIXPROOF_ROOT:-}
die() { echo "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }`;

const stateOf = (fault: string) => `state=$root/var/lib/nixproof/faults/${fault}`;

/** A kernel, network or device of a machine that shares its host's system is the host's. */
const NOT_THE_HOST = `[ -z "$root" ] || die 'it would change the host'`;

/** The shell text that injects a fault of the scope `system`. */
export function injecting(fault: string, ...script: readonly string[]): string {
  return injectingFiles(fault, NOT_THE_HOST, ...script);
}

/**
 * The shell text that injects a fault of the scope `files`: what is there already is left alone.
 */
export function injectingFiles(fault: string, ...script: readonly string[]): string {
  const begin = [PRELUDE, stateOf(fault), '[ ! -e "$state/done" ] || exit 0', 'mkdir -p "$state"'];
  return [...begin, ...script, 'touch "$state/done"'].join('\n');
}

/** The shell text that takes a fault back. */
export function takingBack(fault: string, ...script: readonly string[]): string {
  return [PRELUDE, stateOf(fault), '[ -e "$state/done" ] || exit 0', ...script, 'rm -rf "$state"'].join('\n');
}

/** Shell text that only looks. */
export function looking(fault: string, ...script: readonly string[]): string {
  return [PRELUDE, stateOf(fault), ...script].join('\n');
}

/** Fills the file system that holds a folder with a file, by allocating where it can so that the host has nothing to store. */
export const FILL = `fill() {
  part=0
  free=$(($(stat -f -c '%f * %S' "$1") / 1024))
  size=$free
  # What was allocated leaves room for the file system's own book-keeping: smaller and smaller, until nothing goes in any more.
  while [ "$size" -ge 4 ]; do
    part=$((part + 1))
    if fallocate -l "\${size}K" "$1/.nixproof-fault-$part" 2>/dev/null; then size=$(($(stat -f -c '%f * %S' "$1") / 1024)); else
      rm -f "$1/.nixproof-fault-$part"
      size=$((size / 2))
    fi
  done
  dd if=/dev/zero of="$1/.nixproof-fault-rest" bs=4k 2>/dev/null || true
}`;
