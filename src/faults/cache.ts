import type { Fault } from './fault.js';
import { injecting, looking, takingBack } from './shell.js';

const UNREACHABLE_PORT = 17701;
const CORRUPT_PORT = 17702;

/**
 * A binary cache on the loopback interface without any program but systemd: a socket that starts a shell for each connection
 * (systemd.socket(5), Accept=). It answers for its settings; every description of a store path is cut off.
 */
const serveCache = (name: string, port: number) => `[ -d /run/systemd/system ] || die 'this guest has no systemd'
cat >"$state/serve" <<'END'
#!/bin/sh
read -r _ path _
while read -r header; do [ "\${#header}" -gt 1 ] || break; done
case $path in
  /nix-cache-info) body='StoreDir: /nix/store
WantMassQuery: 1
Priority: 10
' ;;
  *) body='StorePath' ;;
esac
printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' "\${#body}" "$body"
END
mkdir -p /run/systemd/system
cat >/run/systemd/system/${name}.socket <<'END'
[Socket]
ListenStream=127.0.0.1:${port}
Accept=yes
END
cat >/run/systemd/system/${name}@.service <<END
[Service]
ExecStart=-/bin/sh $state/serve
StandardInput=socket
StandardOutput=socket
StandardError=null
END
systemctl daemon-reload
systemctl start ${name}.socket`;

const stopCache = (name: string) => `systemctl stop ${name}.socket 2>/dev/null || true
rm -f /run/systemd/system/${name}.socket /run/systemd/system/${name}@.service
systemctl daemon-reload 2>/dev/null || true`;

/** The system's nix.conf asks this cache first. Where it cannot be written (the NixOS ISO) another is mounted over it. */
const askFirst = (port: number) => `have nix || die 'there is no Nix here'
touch "$state/nix.conf"
[ ! -e /etc/nix/nix.conf ] || cat /etc/nix/nix.conf >"$state/nix.conf"
nix() { command nix --extra-experimental-features nix-command "$@" 2>/dev/null; }
others=$( (nix show-config || nix config show) | sed -n 's/^substituters = *//p')
{ cat "$state/nix.conf"; printf '\\nsubstituters = http://127.0.0.1:${port} %s\\n' "$others"; } >"$state/sabotaged.conf"
mkdir -p /etc/nix
if ! cat "$state/sabotaged.conf" 2>/dev/null >/etc/nix/nix.conf; then mount --bind "$state/sabotaged.conf" "$(readlink -f /etc/nix/nix.conf)"; touch "$state/mounted"; fi`;

const ASK_AS_BEFORE = `if [ -e "$state/mounted" ]; then umount "$(readlink -f /etc/nix/nix.conf)"; else cat "$state/nix.conf" >/etc/nix/nix.conf; fi`;

/** What a connection to the cache comes to, with nothing but what Nix brings along. */
const ask = (port: number, path: string) =>
  `nix --extra-experimental-features 'nix-command' store ping --store http://127.0.0.1:${port}${path}`;

export const CACHE_FAULTS: readonly Fault[] = [
  {
    name: 'cache-unreachable',
    title: 'The first binary cache, which Nix knows from before, takes no connections any more',
    outcome: 'healed',
    expects: ['network.unreachable', 'network.http', 'cache.bad'],
    heals: ['drop-the-substituter', 'fall-back-to-building', 'build-without-cache'],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'cache-unreachable',
        serveCache('nixproof-unreachable', UNREACHABLE_PORT),
        askFirst(UNREACHABLE_PORT),
        // Nix leaves out a cache that it has never reached; one whose settings it remembers it insists on.
        `HOME=\${HOME:-/root} command ${ask(UNREACHABLE_PORT, '')} >/dev/null 2>&1 || die 'the cache was never reached'`,
        stopCache('nixproof-unreachable'),
      ),
      takeBack: takingBack('cache-unreachable', ASK_AS_BEFORE, stopCache('nixproof-unreachable')),
    },
    evidence: looking(
      'cache-unreachable',
      'grep "^substituters = http://127.0.0.1" /etc/nix/nix.conf',
      `if grep -q ':${UNREACHABLE_PORT.toString(16).toUpperCase()} 00000000:0000 0A' /proc/net/tcp; then die 'something listens there'; fi`,
      `echo 'nothing listens at 127.0.0.1:${UNREACHABLE_PORT}'`,
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
  {
    name: 'cache-corrupt',
    title: 'The first binary cache has a damaged description of every store path',
    outcome: 'healed',
    expects: ['cache.bad'],
    heals: ['drop-the-substituter', 'fall-back-to-building', 'build-without-cache'],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting('cache-corrupt', serveCache('nixproof-corrupt', CORRUPT_PORT), askFirst(CORRUPT_PORT)),
      takeBack: takingBack('cache-corrupt', ASK_AS_BEFORE, stopCache('nixproof-corrupt')),
    },
    evidence: looking(
      'cache-corrupt',
      'grep "^substituters = http://127.0.0.1" /etc/nix/nix.conf',
      // A path that no store has: all that matters is what the cache says of it.
      `said=$(HOME="$state" nix --extra-experimental-features nix-command path-info --store http://127.0.0.1:${CORRUPT_PORT} /nix/store/00000000000000000000000000000000-nixproof 2>&1 || true)`,
      `printf '%s\\n' "$said" | grep -i corrupt`,
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
];
