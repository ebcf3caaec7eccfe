import type { Evidence, Heal, HealPlan } from '../../domain/heal.js';
import { nixSettings } from '../parse-probes.js';
import { anywhere, onMachine, planOf } from './shell.js';
import { remoteOf, says, usesNix } from './subjects.js';

/**
 * Settings in a file of the heal's own that the user's nix.conf includes: /etc/nix/nix.conf cannot be written on the NixOS ISO,
 * and the user's is read after it (nix.conf(5)). Where something that comes later still, such as NIX_CONFIG, overrides a
 * setting, the command fails; `extra-` settings are taken on trust.
 */
function withNixSettings(
  heal: string,
  settings: Readonly<Record<string, string>>,
): Pick<HealPlan, 'commands' | 'undo'> {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`.trimEnd());
  const checked = lines.filter((line) => !line.startsWith('extra-'));
  const folder = 'conf=${XDG_CONFIG_HOME:-${HOME:-/root}/.config}/nix';
  const include = `include='!include nixproof-${heal}.conf'`;
  return {
    commands: [
      anywhere(
        heal,
        folder,
        include,
        'mkdir -p "$conf"',
        `cat >"$conf/nixproof-${heal}.conf" <<'END-OF-SETTINGS'\n${lines.join('\n')}\nEND-OF-SETTINGS`,
        `grep -qxF "$include" "$conf/nix.conf" 2>/dev/null || printf '\\n%s\\n' "$include" >>"$conf/nix.conf"`,
        'have nix || exit 0',
        'settings() { nix --extra-experimental-features nix-command "$@" 2>/dev/null; }',
        'effective=$(settings show-config || settings config show) || exit 0',
        ...checked.map(
          (line) =>
            `printf '%s\\n' "$effective" | sed 's/ *$//' | grep -qxF '${line}' || die 'something overrides it: ${line}'`,
        ),
      ),
    ],
    undo: [
      anywhere(
        heal,
        folder,
        include,
        `rm -f "$conf/nixproof-${heal}.conf"`,
        '[ -f "$conf/nix.conf" ] || exit 0',
        '{ grep -vxF "$include" "$conf/nix.conf" || true; } >"$conf/nix.conf.new"',
        'cat "$conf/nix.conf.new" >"$conf/nix.conf"',
        'rm -f "$conf/nix.conf.new"',
      ),
    ],
  };
}

const settingsHeal = (
  entry: Omit<Heal, 'plan' | 'scope'> & {
    readonly settings: Readonly<Record<string, string>>;
    readonly when?: (evidence: Evidence) => boolean;
  },
): Heal => ({
  name: entry.name,
  for: entry.for,
  scope: 'files',
  title: entry.title,
  confidence: entry.confidence,
  plan: (evidence) =>
    usesNix(evidence) && (entry.when?.(evidence) ?? true)
      ? planOf(withNixSettings(entry.name, entry.settings))
      : undefined,
});

/** A place to get store paths from, as Nix lets one write it. */
const STORE = /^(?:[a-z][a-z0-9+]*:\/\/[\w.:/?&=%@+-]+|\/[\w./-]+)$/i;

/** The substituters that are left without the one that failed; undefined where it is none of them, or the only one. */
function otherSubstituters({ diagnosis, probes }: Evidence): readonly string[] | undefined {
  const settings = nixSettings(probes);
  const list = (name: string) => (settings.get(name) ?? '').split(' ').filter((store) => STORE.test(store));
  const used = list('substituters');
  const host = remoteOf(diagnosis)?.host;
  // What Nix says of corrupt data does not always name the cache: the first is the one that was asked first.
  const first = diagnosis.class === 'cache.bad' ? used[0] : undefined;
  const isFailed = (store: string) =>
    host === undefined ? store === first : store.split('/')[2]?.replace(/:\d+$/, '') === host;
  if (!used.some(isFailed)) return undefined;
  const rest = [...new Set([...used, ...list('trusted-substituters')])].filter((store) => !isFailed(store));
  return rest.length === 0 ? undefined : rest;
}

const NETWORK_CLASSES = ['network.http', 'network.dns', 'network.unreachable'] as const;

export const NIX: readonly Heal[] = [
  {
    name: 'drop-the-substituter',
    for: ['cache.bad', ...NETWORK_CLASSES],
    scope: 'files',
    title: 'Leave out the binary cache that failed and use the others that are configured',
    confidence: 0.84,
    plan(evidence) {
      const rest = otherSubstituters(evidence);
      return rest && planOf(withNixSettings('drop-the-substituter', { substituters: rest.join(' ') }));
    },
  },
  settingsHeal({
    name: 'build-without-cache',
    for: ['cache.bad', ...NETWORK_CLASSES],
    title: 'Build everything here instead of getting it from a binary cache',
    confidence: 0.35,
    settings: { substitute: 'false', fallback: 'true' },
    when: (evidence) => nixSettings(evidence.probes).get('substitute') !== 'false',
  }),
  settingsHeal({
    name: 'fall-back-to-building',
    for: ['cache.bad'],
    title: 'Build what a binary cache cannot give',
    confidence: 0.6,
    settings: { fallback: 'true' },
    when: (evidence) => nixSettings(evidence.probes).get('fallback') !== 'true',
  }),
  settingsHeal({
    name: 'download-with-more-patience',
    for: ['network.rate-limit', 'network.http', 'network.unreachable'],
    title: 'Let Nix download one thing after the other and try each more often',
    confidence: 0.55,
    settings: { 'http-connections': '1', 'download-attempts': '12', 'connect-timeout': '30' },
    when: ({ diagnosis }) => !/^4(?!08|29)/.test(diagnosis.captures['status'] ?? ''),
  }),
  settingsHeal({
    name: 'fewer-build-jobs',
    for: ['memory.oom'],
    title: 'Let Nix build one derivation at a time, on one core',
    confidence: 0.65,
    settings: { 'max-jobs': '1', cores: '1' },
    when: ({ probes }) => nixSettings(probes).get('max-jobs') !== '1' || nixSettings(probes).get('cores') !== '1',
  }),
  settingsHeal({
    name: 'enable-flakes',
    for: ['nix.flake', 'nix.daemon', 'nix.eval'],
    title: 'Switch Nix’s flakes and new commands on',
    confidence: 0.9,
    settings: { 'extra-experimental-features': 'nix-command flakes' },
    when: (evidence) => says(evidence, /experimental (?:Nix )?feature/i),
  }),
  settingsHeal({
    name: 'build-without-sandbox',
    for: ['nix.daemon', 'nix.build'],
    title: 'Let Nix build without its sandbox',
    confidence: 0.7,
    settings: { sandbox: 'false', 'filter-syscalls': 'false' },
    when: ({ diagnosis, probes }) =>
      diagnosis.rule === 'nix.daemon/sandbox' && nixSettings(probes).get('sandbox') !== 'false',
  }),
  settingsHeal({
    name: 'build-as-root',
    for: ['nix.daemon'],
    title: 'Let Nix build without users of its own',
    confidence: 0.7,
    settings: { 'build-users-group': '' },
    when: ({ diagnosis }) => diagnosis.rule === 'nix.daemon/build-users',
  }),
  {
    name: 'clear-nix-caches',
    for: ['cache.bad', 'nix.flake'],
    scope: 'files',
    title: 'Forget what Nix remembers of binary caches and downloads',
    confidence: 0.62,
    plan(evidence) {
      if (!usesNix(evidence)) return undefined;
      const cache = 'cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/nix';
      return planOf({
        commands: [
          anywhere(
            'clear-nix-caches',
            cache,
            '[ ! -d "$state/nix" ] || exit 0',
            '[ -n "$(ls -A "$cache" 2>/dev/null)" ] || die "there is no cache"',
            'mkdir -p "$state"',
            'mv "$cache" "$state/nix"',
          ),
        ],
        undo: [
          anywhere(
            'clear-nix-caches',
            cache,
            '[ -d "$state/nix" ] || exit 0',
            'rm -rf "$cache"',
            'mv "$state/nix" "$cache"',
            'rm -rf "$state"',
          ),
        ],
      });
    },
  },
  {
    name: 'repair-the-store',
    for: ['cache.bad', 'nix.daemon'],
    scope: 'system',
    title: 'Check every path of the Nix store and fetch those anew that are damaged',
    confidence: 0.5,
    plan(evidence) {
      const { rule } = evidence.diagnosis;
      const isOfTheStore =
        rule === 'cache.bad/contents-modified' || rule === 'nix.daemon/store' || rule === 'nix.daemon/database';
      if (!isOfTheStore || !usesNix(evidence)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'repair-the-store',
            'have nix-store || die "no Nix here"',
            'limit=; ! have timeout || limit="timeout 580"',
            '$limit nix-store --verify --check-contents --repair',
          ),
        ],
      });
    },
  },
  {
    name: 'restart-the-nix-daemon',
    for: ['nix.daemon'],
    scope: 'system',
    title: 'Start the Nix daemon again',
    confidence: 0.75,
    plan(evidence) {
      if (!says(evidence, /daemon/i)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'restart-the-nix-daemon',
            'have systemctl || die "no systemd here"',
            'systemctl reset-failed nix-daemon.service nix-daemon.socket 2>/dev/null || true',
            'systemctl restart nix-daemon.socket 2>/dev/null || true',
            'systemctl restart nix-daemon.service',
            // The socket may be one that an earlier daemon left.
            'answers() { nix --extra-experimental-features nix-command store ping --store daemon >/dev/null 2>&1; }',
            'for second in $(seq 20); do ! answers || exit 0; sleep 1; done',
            'die "it does not answer"',
          ),
        ],
      });
    },
  },
  {
    name: 'trust-the-tree',
    for: ['nix.flake', 'nix.eval', 'user.input'],
    scope: 'files',
    title: 'Tell git that the deployed tree is safe to read',
    confidence: 0.85,
    plan(evidence) {
      if (!says(evidence, /dubious ownership|safe\.directory|not owned by (?:the )?current user/i)) return undefined;
      return planOf({
        commands: [anywhere('trust-the-tree', 'git config --global --add safe.directory "$NIXPROOF_TREE"')],
        undo: [
          anywhere(
            'trust-the-tree',
            `git config --global --fixed-value --unset-all safe.directory "$NIXPROOF_TREE" || true`,
          ),
        ],
      });
    },
  },
  {
    name: 'refresh-package-lists',
    for: ['cache.bad', 'network.http'],
    scope: 'system',
    title: 'Throw apt’s package lists and downloads away and get them anew',
    confidence: 0.7,
    plan(evidence) {
      if (!says(evidence, /Hash Sum|\bapt\b|dpkg-deb|InRelease|Release file|File has unexpected size|\.deb\b/))
        return undefined;
      return planOf({
        commands: [
          onMachine(
            'refresh-package-lists',
            'have apt-get || die "no apt here"',
            'apt-get clean',
            'rm -rf /var/lib/apt/lists/*',
            'limit=; ! have timeout || limit="timeout 500"',
            '$limit apt-get -o Acquire::Retries=3 update',
          ),
        ],
      });
    },
  },
];
