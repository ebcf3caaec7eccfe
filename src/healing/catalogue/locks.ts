import type { Heal } from '../../domain/heal.js';
import { anywhere, planOf } from './shell.js';
import { says } from './subjects.js';

const LOCKS = [
  '/var/lib/dpkg/lock-frontend',
  '/var/lib/dpkg/lock',
  '/var/lib/apt/lists/lock',
  '/var/cache/apt/archives/lock',
  '/var/lib/pacman/db.lck',
  '/run/zypp.pid',
  '/nix/var/nix/db/big-lock',
  '/nix/var/nix/gc.lock',
] as const;
/** Their mere existence locks: nobody holds them. */
const BY_EXISTENCE = { '/var/lib/pacman/db.lck': 'pacman', '/run/zypp.pid': 'zypper' } as const;

export const LOCK_HEALS: readonly Heal[] = [
  {
    name: 'release-stale-locks',
    for: ['nix.daemon', 'disk.busy', 'timeout', 'user.input', 'unknown'],
    scope: 'files',
    title: 'Wait until nobody holds the locks of Nix and the package managers, and put stale ones aside',
    confidence: 0.8,
    plan(evidence) {
      if (!says(evidence, /\block(?:ed|ing|file)?\b|\block-frontend\b|db\.lck|zypp\.pid/i)) return undefined;
      return planOf({
        commands: [
          anywhere(
            'release-stale-locks',
            // /proc/locks names a file by its inode: `00:1b:1234`.
            'held() { set -- $(ls -di "$1"); grep -q ":$1 " /proc/locks; }',
            'running() { for name in /proc/[0-9]*/comm; do read -r comm 2>/dev/null <"$name" || continue; [ "$comm" != "$1" ] || return 0; done; return 1; }',
            'found=',
            `for lock in ${LOCKS.join(' ')}; do`,
            '  file=$root$lock',
            '  [ -e "$file" ] || continue',
            '  for second in $(seq 240); do',
            '    held "$file" || break',
            '    found=1',
            '    [ "$second" != 240 ] || die "$file is still held"',
            '    sleep 1',
            '  done',
            '  case $lock in',
            ...Object.entries(BY_EXISTENCE).map(
              ([lock, owner]) => `    ${lock}) [ -n "$root" ] || ! running ${owner} || die "${owner} still runs" ;;`,
            ),
            '    *) continue ;;',
            '  esac',
            '  mkdir -p "$state$(dirname "$lock")"',
            '  mv "$file" "$state$lock"',
            'done',
            '[ -n "$found" ] || [ -d "$state" ] || die "no lock is held, and none is stale"',
          ),
        ],
        undo: [
          anywhere(
            'release-stale-locks',
            '[ -d "$state" ] || exit 0',
            '(cd "$state" && find . -type f) | while read -r lock; do mv "$state/$lock" "$root/$lock"; done',
            'rm -rf "$state"',
          ),
        ],
      });
    },
  },
];
