import { rulesOf, type Rule } from './rule.js';

const BOOT_PHASE = /boot|grub|efi|loader/i;

export const BOOTLOADER: readonly Rule[] = rulesOf('bootloader', [
  [
    'efi-store-full',
    /No space left on device|(?:variable store|NVRAM|EFI variables?) .{0,60}(?:full|no space|exhausted)|Could not prepare boot variable|(?:EFI )?variable.{0,40}out of resources/i,
    0.96,
    'the firmware’s variable store is full: no disk is',
    {
      near: /efi ?boot ?mgr|efivar|EFI variable|BootOrder|boot variable|Boot[0-9A-F]{4}\b|LoaderSystemToken|NVRAM|register the boot entry/i,
      phases: BOOT_PHASE,
    },
  ],
  [
    'grub-install',
    /grub2?-(?:install|setup|bios-setup|probe|mkconfig|mkimage|mkrelpath|editenv)(?:\.real|\.\w+)?: (?:error|warning: (?:this (?:GPT|LDM|msdos)|your core|File system|Embedding|Attempting))|grub2?-(?:install|mkconfig|setup|bios-setup)\b.{0,100}(?:failed|fail|returned|exit(?:ed)?|error)|(?:Unable|unable|Failed|failed|could not|cannot) to? ?install (?:the )?(?:GRUB|grub|boot ?loader|lilo|syslinux|extlinux|systemd-boot|refind)|GRUB (?:installation|boot loader installation|setup) ?(?:has )?failed|update-grub\b.{0,60}(?:failed|error)|install-grub\.(?:pl|sh)\b.{0,80}(?:line|fail|die|error|:)/i,
    0.92,
    'GRUB could not be installed or configured',
    { evenAsWarning: true, phases: BOOT_PHASE },
  ],
  [
    'embedding',
    /embedding (?:is not possible|won't be possible)|will not proceed with blocklists|contains no BIOS Boot Partition|doesn't look like an EFI partition|cannot find EFI directory|cannot find a GRUB drive for|failed to get canonical path of|core\.img .{0,60}(?:too large|unusually large)|unable to identify a file ?system in hostdisk|EFI (?:system )?partition .{0,60}(?:not (?:found|mounted)|missing|doesn't|does not)|is not (?:a )?(?:mounted partition|FAT EFI System|valid ESP)|no EFI system partition|Couldn't find (?:an )?EFI|(?:cannot|could not|failed to|unable to) (?:find|locate|determine|detect) (?:the |an? )?(?:ESP|EFI)\b/i,
    0.9,
    'the boot loader has no fitting partition to go to',
    { evenAsWarning: true, phases: BOOT_PHASE },
  ],
  [
    'efi-variables',
    /EFI variables are not supported|efibootmgr\b.{0,120}(?:fail|error|not |cannot|could ?n)|Could not (?:prepare|delete|set|add|read|write) (?:the )?(?:boot|EFI|BootOrder|variable)|(?:fail(?:ed|ure)?|unable|could not|cannot) (?:to )?(?:create|write|read|register|set|update|add|get|access|open|enumerate) .{0,60}?(?:EFI|UEFI|boot entry|boot variable|boot entries|boot order|NVRAM)|efivarfs?\b.{0,60}(?:fail|error|not |read-only|cannot)|efi_?(?:set|get)_variable|No (?:UEFI|EFI) (?:firmware|variables|support)|not booted (?:in|with|via) U?EFI|register the boot entry|boot entr(?:y|ies)\b.{0,40}(?:could not|cannot|fail)/i,
    0.88,
    'the firmware’s boot entries could not be read or written',
    { phases: BOOT_PHASE },
  ],
  [
    'systemd-boot',
    /bootctl\b.{0,120}(?:returned|fail|error|exit|not )|systemd-boot(?:-builder)?(?:\.py)?\b.{0,100}(?:not installed|fail|error|Traceback|could not|cannot|returned)|File ?system (?:type )?"?\/\S*"? is not (?:a FAT|an? EFI|FAT)|(?:ESP|XBOOTLDR)\b.{0,80}(?:not |fail|error|cannot)|loader\/entries\b.{0,60}(?:No such|fail|error|cannot)|Failed to (?:install|update) (?:the )?(?:boot ?loader|systemd-boot)|(?:Random seed|random-seed) .{0,30}fail|kernel-install\b.{0,60}(?:fail|error|exit)|Failed to open .{0,60}loader\.conf|world accessible, which is a security hole/i,
    0.86,
    'systemd-boot could not be installed',
    { unless: /security hole/i, phases: BOOT_PHASE },
  ],
  [
    'installer',
    /(?:fail(?:ed|ure)?|error|unable|could not|couldn't|cannot) (?:to |while |when |in |during )?(?:install(?:ing)?|configur(?:e|ing)|set(?:ting)? up|updat(?:e|ing)|writ(?:e|ing)|mak(?:e|ing) .{0,20}bootable)(?: of)? (?:the |a |new )?(?:boot ?loader|MBR|boot ?sector|boot record|boot config|grub|system bootable)|boot ?loader (?:installation|setup|configuration|install|update)? ?(?:has |could not|was not |not )?(?:failed|fail\b|be installed)|lilo: |syslinux: .{0,60}(?:fail|error|not)|extlinux\b.{0,60}(?:fail|error|no)|lanzaboote|lzbt|limine\b.{0,60}(?:fail|error|not)|refind-install.{0,60}(?:fail|error)|(?:No|no) boot ?loader (?:was )?(?:found|installed)|previously installed systemd-boot(?!, installing)|no default\/fallback boot ?loader|external bootloader|boot ?loader (?:installation|install\w*|setup)\b.{0,30}(?:error|fail)/i,
    0.84,
    'the boot loader could not be installed',
    { phases: BOOT_PHASE },
  ],
  [
    'grub-at-boot',
    /grub rescue>|Entering rescue mode|error: (?:no such (?:partition|device: )|unknown file ?system\b|file [`'‘]?\/?(?:boot|grub|EFI)\S* not found|symbol [`'‘]?\w+['’]? not found|you need to load the kernel first|disk [`'‘]\S+['’] not found|invalid (?:arch-dependent|magic|signature|environment block|ELF)|attempt to read or write outside of|can't find command|(?:bad|verification) shim|no server is specified|out of memory\.? *(?:Press|$))|Press any key to continue|^(?:GRUB )?Error \d\d?(?:: |$)/i,
    0.8,
    'GRUB could not start the system',
    { unless: /while evaluating|nix\b/i },
  ],
  [
    'firmware-boot',
    /No bootable (?:device|medium|option|media)|Operating [Ss]ystem not found|(?:Boot )?[Ff]ailed: not a bootable|not a bootable disk|Missing operating system|BOOTMGR is missing|(?:Boot|boot) device not found|Insert (?:boot media|system disk)|Reboot and Select proper Boot|Bad Linux ARM64 Image|Wrong Image (?:Format|Type)|No valid (?:boot|operating)|BdsDxe: (?:failed|No boot|.{0,60}Not Found)|Security Violation|shim(?:x64)?\b.{0,80}(?:fail|error|could not|not found|invalid)|bad shim signature|Secure ?Boot\b.{0,80}(?:fail|error|violation|not |cannot|enabled and)|VFS: Unable to mount root fs via NFS|error loading (?:\S+ )?(?:kernel|initrd)|(?:Unable|unable|Failed|failed|cannot) to (?:load|find|boot) (?:the )?(?:kernel|initrd|initramfs|vmlinuz|bzImage)|update-initramfs: (?:failed|error)|mkinitcpio\b.{0,60}(?:fail|error)|dracut\b.{0,60}(?:failed|FAILED)|initramfs .{0,40}(?:fail|corrupt|not found)/i,
    0.8,
    'the firmware or boot loader could not start the system',
    { unless: /kexec|module verification/i },
  ],
]);
