import type { FailureClass } from '../../domain/diagnosis.js';
import type { Rule } from './rule.js';

/** What a line that plainly says "it failed" is about, by its words alone: better than nothing where no other rule matches. */
const SUBJECTS: readonly (readonly [failureClass: FailureClass, about: RegExp])[] = [
  ['kexec', /\bkexec/i],
  [
    'bootloader',
    /\b(?:boot ?loader|grub2?|efi|uefi|esp|systemd-boot|bootctl|efibootmgr|syslinux|limine|refind|initrd|initramfs|mbr)\b/i,
  ],
  ['network.rate-limit', /\b(?:rate|quota|throttl\w*) ?(?:limit|exceed)/i],
  ['network.dns', /\b(?:dns|name ?server|resolver|hostname lookup)\b/i],
  ['cache.bad', /\b(?:hash|checksum|sha256|signature|signed|gpg|keyring|corrupt\w*|substituter|binary cache)\b/i],
  ['nix.flake', /\bflake\b|flake\.(?:nix|lock)/i],
  ['nix.daemon', /nix-daemon|\bnix (?:store|daemon|database|profile)\b|\/nix\/var\b/i],
  [
    'nix.eval',
    /\b(?:evaluat\w+|nixosConfigurations|lib\.\w+|mkOption|attribute set|nix expression)\b|\.nix(?::\d+|\b)/i,
  ],
  ['auth.secrets', /\b(?:secrets?|decrypt\w*|sops|age(?:nix)?|vault|passphrase|key ?file|credentials?)\b/i],
  ['ssh.auth', /\b(?:ssh|scp|sftp|login)\b.{0,80}\b(?:key|auth\w*|password|denied|login)\b/i],
  ['ssh.connection', /\b(?:ssh|scp|sftp|sshd)\b/i],
  ['memory.oom', /\b(?:memory|oom|ram)\b/i],
  [
    'hardware.firmware',
    /\b(?:firmware|drivers?|kernel modules?|modprobe|gpu|cpu|kvm|virtuali[sz]ation|tpm|bios|microcode)\b/i,
  ],
  [
    'disk.partition-failed',
    /\b(?:partition\w*|format(?:ting)?|mkfs\S*|file ?system creation|luks\w*|cryptsetup|zpool|raid|lvm|volume group|disko|sgdisk|parted)\b/i,
  ],
  ['mount.failed', /\b(?:re-?)?mount(?:ing|ed|s)?\b|\bfstab\b|\bfile ?systems?\b/i],
  ['disk.not-found', /\b(?:disks?|block devices?|drives?)\b|\/dev\/(?:sd|vd|nvme|disk)/i],
  ['network.http', /\bhttps?:\/\/|\b(?:http|url|download\w*|mirror|certificate|tls|ssl)\b/i],
  ['network.unreachable', /\b(?:network|connect\w*|dhcp|socket|route|interface|host)\b/i],
  ['nix.build', /\b(?:derivation|builder|compil\w+|build(?:ing)?|linker|cargo|cmake|make)\b|\.drv\b/i],
  ['service.failed', /\b(?:service|systemd|units?|daemon|systemctl|activation)\b/i],
  ['timeout', /\b(?:time ?outs?|timed|deadline|too long)\b/i],
  [
    'user.input',
    /\b(?:invalid|unsupported|unknown|expected|required|argument|parameter|option|specified|valid|value)\b/i,
  ],
];

const MOST = 0.42;
const STEP = 0.003;

/** One rule for each subject; where a line is about several, the one that stands first in the table is surest. */
export const HINTS: readonly Rule[] = SUBJECTS.map(([failureClass, about], index) => ({
  id: `${failureClass}/about`,
  class: failureClass,
  pattern: about,
  confidence: MOST - STEP * index,
  why: 'a guess: the line that tells of the failure speaks of this',
  hint: true,
}));
