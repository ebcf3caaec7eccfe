import { ahoCorasick } from './aho-corasick.js';

/**
 * Stems without one of which no rule matches and no line is told: one cheap look that spares nearly every line the rules. Lower
 * case, found anywhere in a line in any case. Words that stand in ordinary lines (boot, disk, store) are not among them.
 */
const STEMS: readonly string[] = [
  // That it failed at all.
  ...words(
    'error errno err! fail fatal panic abort exception traceback crash assert segfault *** sigkill exited code=',
  ).concat('exit status', 'exit code', 'exit with', 'exit value', 'non-zero', "result '", 'returned 1', 'returned 2'),
  ...words(
    "cannot can't n't unable denied refus forbidden unauthorized permitted untrusted unfree disabled hung stuck stall",
  ),
  ...[
    'can not',
    'could not',
    'not ',
    'secure boot',
    'secureboot',
    'security violation',
    'one or more',
    'only root',
    'are you root',
  ],
  // What is not there.
  ...words(
    'such space route medium matching mutual suitable usable valid master network answer known ident readable boot disk hard default server pools arrays carrier dhcp working lease secret efi nvidia gpu tpm firmware kernel free more response output device block drive storage ca',
  ).map((thing) => `no ${thing}`),
  ...words(
    'no_pubkey no-carrier missing undefined unbound unknown unrecogni unsupported unexpected incompatible inactive',
  ),
  ...['but found', 'does not', 'must ', 'please ', 'bad ', 'wrong', 'is not', 'bootmgr', 'reboot and select'],
  // Time.
  ...words('timed timeout time-out deadline exceeded waiting waited lockup watchdog'),
  ...['time out', 'gave up', 'giving up', 'blocked for', 'has been reached', 'too quickly'],
  // Room, users and memory.
  ...words('quota busy mounted insufficient exhaust kill oom memory bad_alloc allocat'),
  ...[
    ' full',
    'space',
    'in use',
    'being used',
    'used by',
    'active swap',
    'inodes',
    'reject',
    'wrote only',
    'part of',
    'mount:',
    'mount error',
    '100% used',
    'signal:',
    'signal ',
  ],
  ...words('small large many few full short long open').map((what) => `too ${what}`),
  'toomany',
  // What is not as it should be.
  ...words(
    'mismatch corrupt damaged truncated malformed invalid illegal lacks signature pubkey gpg badsig keysig keyexpired differ modified specified unsigned expected require incorrect recursion conflict removed renamed replaced superseded deprecated refusing longer collision hunk clobbered degraded inconsisten disagrees overwrite overlap outside exclusive already existing eof unlocked trusted',
  ),
  ...['was moved', 'lock file', 'lockfile', 'flake.', 'end of ', 'end-of-', 'detected on', 'wipe it'],
  // The network.
  ...words(
    'unreach resolve resolution lookup nxdomain servfail getaddrinfo dns unknownhost peer lost offending negotiate _exchange attempted econn etimed enet ehost eai_ enotfound enospc enomem ebusy edquot eaddr certificate x509 cert_ ssl_ ssl: tls_ tls: gnutls throttl slowdown http/ unavailable',
  ),
  ...[
    'rate limit',
    'rate-limit',
    'ratelimit',
    'retry-after',
    'name or service',
    'host not',
    'packet loss',
    'reset by',
    'closed by',
  ],
  ...[
    'broken pipe',
    'host key',
    'host ident',
    'ssl ',
    'tls ',
    'bad gateway',
    'gateway time',
    'decrypt',
    'passphrase',
    'sops',
    'agenix',
  ],
  // Boot, kernel and hardware.
  ...words(
    'efibootmgr efivar shim rescue emergency dropping alert! kexec locate_hole grub> bdsdxe microcode firmware kvm vt-x verr_',
  ),
  ...words('instruction opcode fsck unclean cleaning superblock open_ctree sqlite schema nixbld dependenc'),
  ...['grub-', 'grub_', 'grub ', 'efi var', 'insert boot', 'exec format', 'hv_'],
  // A good end.
  ...[
    'installation finished',
    'installation complete',
    '### done',
    'job succeeded',
    'finished: success',
    'new configuration is',
    'success]',
  ],
];

function words(text: string): string[] {
  return text.split(' ');
}

const look = ahoCorasick(STEMS);

/** Whether a line is worth a look by the rules. */
export function isSuspicious(text: string): boolean {
  return look(text);
}
