import { rulesOf, type Rule } from './rule.js';

/** What speaks of the firmware's variable store: "no space left" there is no full disk. */
const EFI_STORE =
  /efi ?boot ?mgr|efivar|EFI variable|BootOrder|boot variable|Boot[0-9A-F]{4}\b|LoaderSystemToken|NVRAM|register the boot entry/i;
const MAKES_FILE_SYSTEMS = /mkfs|mke2fs|mkswap|mkdosfs|mkntfs|newfs/i;
const DISK_PHASE = /disk|part|format|luks|zfs|raid/i;
/** A device's whole path: what follows it is not tried from each of its characters. */
const DEVICE = String.raw`(?<device>/dev/(?:disk/by-\w|mapper/|sd|hd|vd|xvd|nvme|mmcblk|md|dm-|loop|zd|zvol|sr|fd|nbd|pmem|cciss)[^\s'":,;]{0,200}(?![^\s'":,;]))`;

export const DISK_FULL: readonly Rule[] = rulesOf('disk.full', [
  [
    'no-space',
    /No space left on (?:the )?device|\bENOSPC\b|errno 28\b/i,
    0.95,
    'a file system has no room, or no inodes, left',
    // Wiping a whole disk ends in just that message.
    {
      notNear: new RegExp(
        `${EFI_STORE.source}|if=/dev/(?:zero|u?random) .{0,40}of=/dev/(?:sd|nvme|vd|hd|xvd|mmcblk|disk)`,
        'i',
      ),
    },
  ],
  [
    'quota',
    /Disk quota exceeded|\bEDQUOT\b|out of inodes|no free inodes/i,
    0.9,
    'the quota or the inodes of a file system are used up',
  ],
  ['database', /database or disk is full|SQLITE_FULL/i, 0.95, 'the database could not grow: its disk is full'],
  [
    'package-manager',
    /(?:don't|do not) have enough free (?:disk )?space (?:in|on)|Partition \S+ too full: \d+ blocks needed|not enough free disk space|(?<!\d)\d{1,12}\s?[KMG]i?B (?:more space )?(?:is )?needed on the \S+ file ?system|needs? (?:a total of )?[\d.,]+ ?[kMG]?B? (?:of )?free (?:disk )?space on|(?<!\d)\d{1,12} ?[kKMG]i?B more space on the|cannot write compressed block|\bno free (?:disk )?space\b/i,
    0.92,
    'the package manager found too little room',
  ],
  [
    'too-little',
    /(?:not enough|insufficient|out of|no more|lack of|ran out of|run out of) (?:free |available |disk |storage |file ?system )*(?:disk |storage )?space\b(?! for primary)/i,
    0.85,
    'there is too little room on a disk',
    { unless: /extents|volume group|address space|logical volume|lv(?:create|extend)|partitions? (?:in|on)to|repart/i },
  ],
  [
    'is-full',
    /(?:disk|file ?system|partition|volume|\/boot|\/tmp|\/var|root)(?: \S+)? (?:is|are|was|became) (?:almost |completely |already )?full\b|\b(?:disk|file ?system) full\b/i,
    0.85,
    'a file system is full',
  ],
  ['short-write', /Wrote only \d+ of \d+ bytes|\b100% (?:full|used)\b/i, 0.7, 'a file could not be written in whole'],
]);

export const DISK_NOT_FOUND: readonly Rule[] = rulesOf('disk.not-found', [
  [
    'sgdisk',
    /Problem opening (?<device>\S+) for (?:reading|writing)! Error is (?:2|6|123)\b|The specified file does not exist!/i,
    0.92,
    'there is no such disk: {device}',
  ],
  [
    'parted',
    /Could not stat device (?<device>\S+)|Error opening (?<device2>\/dev\/\S+): No (?:such|medium)/i,
    0.93,
    'there is no such disk: {device}',
  ],
  [
    'initrd',
    /ALERT!\s+(?<device>\S+) does not exist|device ['"‘]?(?<device2>(?:UUID|LABEL|PARTUUID|PARTLABEL)=\S+|\/dev\/\S+?)['"’]? not found\. Skipping|Unable to find root device|(?:Gave up|gave up) waiting for (?:the )?(?:root|suspend|file)[^.]*device|Cannot open root device|dracut-initqueue.{0,20}timeout|unable to find (?:a )?(?:medium|root) |Unable to mount root fs on unknown-block/i,
    0.88,
    'the root device did not appear at boot',
    { evenAsWarning: true },
  ],
  [
    'no-disk',
    /No (?:hard |usable |suitable |eligible |installation |target |block )*(?:disks?|disk drives?|drives?|storage devices?|block devices?|devices to install)(?: devices?)? (?:was |were |has been |have been |could be )?(?:found|detected|available|present|selected)|(?:could not|couldn't|cannot|unable to|failed to|did ?n.t) (?:find|detect|locate|determine) (?:the |a |any |an )?(?:hard |target |suitable |usable |root |boot |install(?:ation)? )*(?:disk|drive|device \/dev|block device|storage device)s?\b|(?<!sr\d: )no medium found|\b(?:nvme\d+n\d+|[shv]d[a-z])\w*: no such device|no partitions? to install (?:on|to)|nonexistent disk|[Dd]isk ["'‘]\S+["'’] given in \w+ command does not exist/i,
    0.88,
    'no disk was found to install to',
  ],
  [
    'lvm',
    /Device (?<device>\S+) not found(?: \(or ignored by filtering\))?\.?(?:\s|$)|Couldn't find device with uuid|Volume group ["'](?<group>[^"']+)["'] not found|Failed to find (?:logical volume|physical volume|device)|Device \S+ excluded by a filter/i,
    0.85,
    'LVM does not find the device or group',
  ],
  [
    'zfs',
    /cannot (?:import|open) '(?<pool>[^']+)': no such (?:pool|device)|no such device in \/dev|no pools available to import|One or more devices (?:is|are) missing|cannot resolve path '(?<device>\/dev\/[^']+)'/i,
    0.85,
    'ZFS does not find the pool or its devices',
  ],
  [
    'mdadm',
    /mdadm: (?:cannot open|No arrays found|device) .*(?:No such file|not found|No such device)|mdadm: No arrays found/i,
    0.85,
    'mdadm does not find the array or its devices',
  ],
  [
    'findfs',
    /unable to resolve ['"‘]?(?<device>(?:UUID|LABEL|PARTUUID|PARTLABEL)=[^'"’\s]+)|cannot find the device for|can't find (?<device2>(?:UUID|LABEL|PARTUUID|PARTLABEL)=\S+)/i,
    0.85,
    'no device carries that label or UUID',
  ],
  [
    'does-not-exist',
    new RegExp(
      String.raw`${DEVICE}['"’)]?:?.{0,60}?(?:does not exist|doesn't exist|not found|No such file or directory|No such device|not a block device|is not there|is not present|is missing|not available)`,
      'i',
    ),
    0.8,
    'there is no such device: {device}',
    {
      unless: new RegExp(
        `${MAKES_FILE_SYSTEMS.source}|os-prober|Timed out waiting|grub-|/dev/(?:fd|sr)\\d|special device|no size was specified`,
        'i',
      ),
      phases: DISK_PHASE,
    },
  ],
  [
    'cannot-open',
    /(?:cannot|could not|couldn't|can't|unable to|failed to|error) (?:open|find|stat|access|opening|access to) (?:the )?(?:device |disk |file )?['"‘`]?(?<device>\/dev\/(?:sd|hd|vd|xvd|nvme|mmcblk|disk|mapper|md|dm-|loop|nbd|mtd)[^\s'"’:]*)['"’`]?:? .{0,40}?No such (?:file|device)/i,
    0.86,
    'there is no such device: {device}',
    { unless: MAKES_FILE_SYSTEMS, phases: DISK_PHASE },
  ],
  [
    'go-open',
    /(?:open|stat|lstat) (?<device>\/dev\/(?!kvm|net|tty|null|dri|vhost|snd|tpm|fuse)[\w/-]+): no such (?:file|device)/i,
    0.84,
    'there is no such device: {device}',
    { unless: MAKES_FILE_SYSTEMS },
  ],
  [
    'loop',
    /(?:could not|cannot) find an(?:y)? (?:unused|free) loop device|failed to find (?:a )?free loop device/i,
    0.8,
    'there is no loop device to be had',
  ],
]);

export const DISK_BUSY: readonly Rule[] = rulesOf('disk.busy', [
  [
    'busy',
    /(?:Device or resource|target|device|mount point|pool(?: or dataset)?|dataset|resource|disk|array) (?:is )?busy|\bEBUSY\b|errno 16\b/i,
    0.88,
    'the disk or mount point is in use',
    {
      unless:
        /cgroup|SQLite|\/dev\/kvm|\/dev\/(?:video|snd|tty)|VMX|virtuali[sz]ation|modprobe|rmmod|docker\.sock|address already|network|wlan|eth0|i2c|gpio|tpm/i,
      phases: DISK_PHASE,
    },
  ],
  [
    'mkfs',
    /is apparently in use by the system|(?:has|have|found) (?:mounted|busy) partitions|is (?:currently )?mounted;? *(?:will not|\.|!|$|on )|contains a mounted file ?system|is mounted\b.{0,40}(?:refus|will not|cannot|abort)|will not make a (?:file ?system|swap ?space) here/i,
    0.93,
    'the partition to be formatted is mounted or held by the system',
    { unless: /already mounted at the|is mounted read-only/i },
  ],
  [
    'partition-table',
    /This disk is currently in use|no-one is using this disk right now.*FAILED|Partition\(s\) [\d, ]+ on \S+ (?:are being used|have been written, but we have been unable)|unable to inform the kernel of the change|Re-?reading the partition table failed.*busy|BLKRRPART.*busy|partitions? (?:on|of) \S+ (?:is|are) (?:being used|in use|mounted)|(?:disk|device|drive|partition) \S+ (?:is|are) (?:still |currently |already )?(?:in use|being used)/i,
    0.92,
    'the disk’s partitions are in use',
  ],
  [
    'exclusive',
    /Can't open (?<device>\S+) exclusively|Cannot get exclusive access to|Cannot exclusively open|Cannot use device \S+ which is in use|(?:opened|open) exclusively/i,
    0.93,
    'another user of the device holds it: mounted, or part of LVM, RAID or ZFS',
  ],
  [
    'still-in-use',
    /Device \S+ is (?:still )?in use|(?:Logical volume|Volume group|Device) \S+ (?:is )?(?:currently |still )?(?:used by another device|in use|contains a file ?system in use|is active)|is in use and contains an? \S+ file ?system|is in use by|still has (?:mounted|open)/i,
    0.85,
    'the device is in use',
    { unless: /port|address|lock|build users|name .* in use|udp|tcp|socket|interface/i },
  ],
  [
    'part-of',
    /is (?:already )?part of (?:an? )?(?:active|imported|exported|potentially active|existing|unrecognized)[\w ]*(?:pool|md|lvm|raid|array|bcache)|one of the devices is part of an active|appears to be part of a (?:raid|zfs|md)|Already a bcache (?:device|superblock)|is already (?:mounted|mapped|in use|active) (?:or|by|as)|already mounted or .* busy|device already (?:mounted|in use|open)|is in use \(|active (?:swap|lvm|logical volume)/i,
    0.88,
    'the device is held by a pool, an array or LVM, or is mounted already',
  ],
  [
    'swap',
    /swapoff(?:: \S+:| \S+)? (?:failed|.*Cannot allocate)|is (?:an )?active swap|used as swap|swap(?: \w+)? is (?:in use|active)/i,
    0.8,
    'the device is in use as swap',
  ],
]);

const TOOLS = String.raw`(?:mkfs(?:\.\w+)?|mke2fs|mkdosfs|mkswap|sgdisk|sfdisk|gdisk|fdisk|cfdisk|parted|partprobe|wipefs|cryptsetup|zpool|mdadm|pvcreate|vgcreate|lvcreate|growpart|resize2fs|systemd-repart|disko|partman|make-bcache|bcachefs|blkdiscard|e2fsck|tune2fs|kpartx|partx|losetup|btrfs (?:device|file ?system|subvolume)|xfs_growfs)`;

export const DISK_PARTITION: readonly Rule[] = rulesOf('disk.partition-failed', [
  [
    'tool-failed',
    new RegExp(
      String.raw`(?:^|[\s'"\`/:\[(])(?<tool>${TOOLS})\b.{0,160}?(?:returned non-zero|exit(?:ed)?(?: with)?(?: status| code| value)?:? [1-9]|(?:has )?failed\b)`,
      'i',
    ),
    0.84,
    'a tool that partitions or formats disks failed: {tool}',
    { unless: /disko(?:-\S+)?\.nix|service:|\.drv|Unit \S+|BTRFS error|open_ctree/i, phases: DISK_PHASE },
  ],
  [
    'command-failed',
    new RegExp(
      String.raw`['"\s\[/](?<tool>${TOOLS})\b(?<=(?:command|exec|run|cmd).{0,80}).{0,200}?(?:returned non-zero|exit (?:status|code)|failed|error)`,
      'i',
    ),
    0.84,
    'a tool that partitions or formats disks failed: {tool}',
    { phases: DISK_PHASE },
  ],
  [
    'mkfs-open',
    /(?:mkfs|mke2fs|mkswap|mkdosfs)[^:]*: .{0,60}(?:unable to open|cannot open|can't open|could not open|error accessing|No such file or directory|invalid|not a block|too small|too large|bad )|(?<device>\/dev\/\S+) does not exist and no size was specified|does not exist and no size was specified|Error accessing specified device|cannot open \/dev\/\S+ for .* mkfs/i,
    0.88,
    'no file system could be made: the device or its options are wrong',
  ],
  [
    'tool-says',
    new RegExp(
      String.raw`^(?:\S*/)?(?<tool>${TOOLS}): .{0,160}?(?:cannot|can't|could not|couldn't|error|fail|unable|invalid|inappropriate|not supported|no such|unknown|too )`,
      'i',
    ),
    0.72,
    'a tool that partitions or formats disks complains: {tool}',
    {
      unless: /warning|notice|busy|in use|mounted|(?:unknown|invalid|unrecogni[sz]ed) (?:mode|option|argument)/i,
      phases: DISK_PHASE,
    },
  ],
  [
    'tool-crashed',
    new RegExp(String.raw`(?:Bus error|Segmentation fault|Aborted|core dumped).{0,40}\b(?<tool>${TOOLS})\b`, 'i'),
    0.8,
    'a tool that partitions or formats disks crashed: {tool}',
  ],
  [
    'file-system-creation',
    /file ?system creation .{0,60}failed|file ?system creation failed|(?:fail(?:ed|ure)|error|unable|couldn't|could not) (?:to |while |when |in )?(?:create|creating|make|making|format|formatting|build|building|initiali[sz]e|initiali[sz]ing)\b.{0,60}?(?:file ?system|partitions?\b|swap space|swap area|physical volume|volume group|logical volume|luks|raid|zpool|zfs pool|superblock|disk ?label|partition table)|format(?:ting)? (?:of )?\S* ?(?:has )?failed/i,
    0.86,
    'a partition or file system could not be made',
    { unless: /read-only file|\.mount\b|derivation/i, phases: DISK_PHASE },
  ],
  [
    'partitioning',
    /(?:fail(?:ed|ure)|error|unable|could not|couldn't) (?:to |while |when |in |during )?(?:re-?)?partition(?:ing)?\b|partition(?:ing)? (?:has )?failed|Error encountered; not saving changes|Could not create partition \d+|Unable to satisfy all constraints|Can't have (?:overlapping partitions|a partition outside)|The location \S+ is outside of the device|unrecogni[sz]ed disk label|Error informing the kernel about modifications|Invalid partition (?:table|data)|No free sectors available|Can't fit requested partitions|All (?:space for )?primary partitions (?:are )?(?:is )?in use|partition (?:table )?(?:is|are|was) (?:corrupt|invalid)|BLKRRPART.*(?:failed|Invalid)|failed to (?:add|delete|resize|write) (?:#?\d+ )?(?:partition|disk ?label)|overlapping partitions|(?:disk|device|partition|volume|image) (?:is |\S+ is )?too small\b/i,
    0.86,
    'the disk could not be partitioned',
    { phases: DISK_PHASE },
  ],
  [
    'existing',
    /appears to contain an? (?:existing |partition)[\w ]*(?:file ?system|table|\()|[Uu]se the -f option to (?:force overwrite|overwrite)|use ['"‘]?-f['"’]? to override the following errors|contains an? existing (?:file ?system|partition)|signature detected on \S+ at offset|existing signatures? left on the device|Failed to wipe (?:signature|header|existing)/i,
    0.85,
    'what is left on the disk keeps the tool from formatting it',
  ],
  [
    'too-small',
    /is too small to make a usable|(?:file ?system|device|volume) (?:is )?too small|too small for|minimum size for each|Attempting to create a too (?:small|large) file ?system|Not enough clusters for a|size \d+ of data subvolume is too small|not enough space to (?:build|create|allocate)/i,
    0.8,
    'the partition is too small for its file system',
    { unless: /buffer|terminal|key|rsa/i },
  ],
  [
    'luks',
    /Cannot format device|Device \S+ is not a valid LUKS device|Cannot wipe (?:header|device)|LUKS.{0,40}(?:fail|error)|cryptsetup.{0,60}(?:fail|error|abort)|Failed to (?:setup|activate) (?:dm-crypt|with|cryptsetup)|Command failed with code -\d|Requested (?:cipher|LUKS hash) .{0,60} not supported/i,
    0.82,
    'the disk could not be encrypted, or its container opened',
    { unless: /passphrase|key ?file|No key available/i },
  ],
  [
    'zfs',
    /cannot create '(?<pool>[^']+)': (?!out of space)|invalid vdev specification|mountpoint '[^']*' exists and is not empty|cannot (?:attach|add to|label|replace) '[^']*'|cannot label '\S+'/i,
    0.82,
    'the ZFS pool or dataset could not be made',
    { unless: /Cannot allocate memory/ },
  ],
  [
    'lvm',
    /Can't initialize physical volume|has insufficient free space|Insufficient (?:free space|suitable allocatable extents)|A volume group called \S+ already exists|Logical [Vv]olume "?\S+"? already exists|Cannot create (?:logical volume|new)|[Vv]olume group "?\S+"? (?:already exists|not created)|No command with matching syntax recognised/i,
    0.82,
    'LVM could not make the volume',
  ],
  [
    'mdadm',
    /mdadm: (?:create aborted|failed to (?:create|write|add|RUN_ARRAY)|RUN_ARRAY failed|cannot (?:write|add|zero)|not enough devices|invalid|you haven't given enough|.* does not appear to be an md device|super\S* cannot open)/i,
    0.82,
    'mdadm could not make the array',
  ],
  [
    'resize',
    /resize2fs: .{0,80}(?:Bad magic|too small|fail|error|Permission|Invalid)|growpart.{0,60}fail|FAILED: (?:failed to|could not|unable to) (?:resize|get|dump|repart)|could not (?:grow|resize|shrink) (?:the )?(?:partition|file ?system|disk|rootfs)|Failed to (?:grow|resize|shrink) (?:the )?\S* ?(?:partition|file ?system|disk|image)/i,
    0.8,
    'a partition or file system could not be resized',
  ],
  [
    'write-error',
    /(?:Input\/output error|I\/O error) (?:during|while) (?:read|write|writing|reading) (?:on|to|from)? ?\/dev|Error fsyncing\/closing \/dev|Invalid argument during seek for/i,
    0.75,
    'the disk could not be read or written while it was partitioned',
  ],
]);
