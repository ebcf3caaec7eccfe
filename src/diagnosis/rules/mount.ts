import { rulesOf, type Rule } from './rule.js';

const MOUNT_PHASE = /mount|disk|boot/i;

export const MOUNT: readonly Rule[] = rulesOf('mount.failed', [
  [
    'special-device',
    /special device (?<device>\S+) does not exist/i,
    0.9,
    'the device to be mounted is not there: {device}',
  ],
  [
    'wrong-type',
    /wrong fs type|bad superblock|unknown file ?system type ['"‘]?(?<type>\w+)|bad geometry: block count|(?:Can't|can't) find (?:an? )?(?:valid )?(?:ext[234]|xfs|btrfs|valid FAT) file ?system|VFS: Can't find/i,
    0.92,
    'the file system is not what mount expected, or the kernel does not know it',
    { phases: MOUNT_PHASE },
  ],
  [
    'mount-says',
    /(?:^|[\s"'(])mount(?:\.\w+)?: (?!.*(?:warning|busy|only mount|mounted\b.*read-only|hint)).{0,160}?(?:does not exist|No such|not found|denied|failed|fail|error|cannot|can't|could not|Invalid|not permitted|Unknown|not a directory|must be superuser|only root|unsupported|No route|timed out|refused|bad )/i,
    0.86,
    'mount refused',
    { unless: /mount point busy|target is busy/i, phases: MOUNT_PHASE },
  ],
  [
    'failed-to-mount',
    /(?:fail(?:ed|ure|s)?|unable|could not|couldn't|cannot|can't|error|not able) (?:to |while |when |in |during )?(?:re-?)?mount(?:ing)?\b(?! point (?:busy|is busy))|mount(?:ing)? (?:of )?.{0,100}? (?:has )?failed\b|mount(?:\(\d?\))? (?:system call )?failed|mount error(?:\(\d+\))?|mount_\w+: .{0,60}(?:could not|fail)|could not be mounted|not mountable|refus(?:ed|ing) to mount|volume cannot be mounted/i,
    0.86,
    'a file system could not be mounted',
    {
      unless:
        /busy|umount|unmount|Cannot allocate memory|No space left|mount namespac|namespace|^(?:GRUB )?Error \d+: |\/run\/(?:agenix|secrets)/i,
      phases: MOUNT_PHASE,
    },
  ],
  [
    'namespace',
    /failed to (?:set ?up|create|change) .{0,30}mount (?:propagation|namespace)/i,
    0.5,
    'the mounts of a namespace could not be set up',
  ],
  [
    'not-empty',
    /cannot mount '[^']*': (?:directory is not empty|legacy mountpoint|encryption key not loaded|.*)|file ?system successfully created, but not mounted|mount point (?:\S+ )?(?:does not exist|is not a directory|doesn't exist)|mountpoint (?:\S+ )?does not exist|is not a mount ?point/i,
    0.84,
    'the place to mount at, or what is to be mounted there, is not ready',
    { unless: /Cannot allocate memory/ },
  ],
  [
    'kernel-file-system',
    /open_ctree failed|SQUASHFS error|XFS \([^)]*\): (?:Invalid superblock|SB validate failed|bad magic|log mount)|EXT4-fs \([^)]*\): (?:VFS|unable to read superblock|group descriptors corrupted|bad geometry|no journal found)|EXT4-fs error|Structure needs cleaning|FAT-fs \([^)]*\): (?:bogus|IO charset)|F2FS-fs .*Can't find valid|NTFS signature is missing|unable to read superblock|overlayfs: (?:failed|upper|workdir|missing|unrecognized)|bad (?:magic|superblock)/i,
    0.85,
    'the kernel could not read the file system',
  ],
  [
    'fsck',
    /RUN fsck MANUALLY|fsck(?:\.\w+)? failed with exit status|File system check .{0,60}failed|fsck.{0,30}(?:exited with|terminated with) (?:status|code|error)|errors? (?:was|were)? ?found while checking the disk|UNEXPECTED INCONSISTENCY|unclean file system|Metadata kept in Windows cache/i,
    0.82,
    'the file system is damaged and was not mounted',
  ],
  [
    'dependency',
    /Dependency failed for (?:Local File Systems|Remote File Systems|File System Check|\/\S*|Initrd Root|\S*Mount)|\.mount: (?:Failed|Mount process exited|Job .* failed)|Failed to mount \S+/i,
    0.84,
    'systemd could not mount a file system',
    { unless: /namespac/i },
  ],
  [
    'root',
    /An error occurred (?:in stage 1|while mounting|mounting)|(?:unable|failed) to mount (?:the )?(?:root|real root)|Failed to (?:switch|pivot)[ _-]?root|cannot mount root|Unable to mount root fs(?! on unknown-block\(0)|switch_root: .{0,40}(?:fail|cannot)/i,
    0.84,
    'the root file system could not be mounted',
  ],
  [
    'fstab',
    /can't find .{0,80} in \/etc\/fstab|(?:parse|parsing) error .{0,40}fstab|fstab.{0,60}(?:error|invalid|ignored)/i,
    0.85,
    'the file system is not in fstab',
  ],
  [
    'emergency',
    /You are in (?:emergency|rescue) mode|Entering emergency mode|Welcome to emergency mode|Dropping to (?:debug|a) shell/i,
    0.45,
    'the system stopped in its emergency shell, most often for want of a file system',
  ],
]);
