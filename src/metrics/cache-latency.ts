import type { Installation } from '../domain/profile.js';
import type { Connection } from '../machines/machine.js';

/**
 * Asks the first binary cache of a Nix configuration, or Nix's own default, for its introduction, with the curl that is there.
 * Prints the seconds until its answer began.
 */
const SCRIPT = `command -v curl >/dev/null || exit 0
for cache in $(sed -n 's/^[[:space:]]*substituters[[:space:]]*=//p' "$1" 2>/dev/null | tail -n 1) https://cache.nixos.org; do
  case $cache in http://* | https://*) ;; *) continue ;; esac
  cache=\${cache%%[?]*}
  curl -q -s -o /dev/null --max-time 5 -w '%{time_starttransfer}\\n' "\${cache%/}/nix-cache-info"
  exit
done`;

/** Whether an installer gets what it installs from a binary cache of Nix. */
export function usesCaches({ kind }: Installation): boolean {
  return kind !== 'script';
}

/** Seconds until the first cache begins to answer; undefined where nothing answers, or there is no curl. @throws NixproofError `TRANSPORT_*` */
export async function cacheLatency(
  connection: Pick<Connection, 'exec'>,
  signal: AbortSignal,
  nixConf = '/etc/nix/nix.conf',
): Promise<number | undefined> {
  const { exitCode, stdout } = await connection.exec(['sh', '-c', SCRIPT, 'sh', nixConf], {
    signal,
    timeoutMs: 10_000,
    maxBytes: 1024,
  });
  const seconds = /^\d{1,2}\.\d{1,9}$/.test(stdout.trim()) ? Number(stdout) : 0;
  return exitCode === 0 && seconds > 0 ? seconds : undefined;
}
