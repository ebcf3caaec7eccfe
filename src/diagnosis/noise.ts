/** Lines that look alarming and mean nothing, whatever rule they would match. */
const NOISE: readonly RegExp[] = [
  // Nix and package managers naming what they copy, build or set up.
  /^(?:copying (?:\d+ )?(?:path|local|nar)|building '|fetching path|downloading '|these \d+ (?:derivations|paths)|this (?:derivation|path) will|unpacking |evaluating (?:file|derivation)|querying |trace: |substituting |removing old|\/nix\/store\/\S+$)/i,
  /^(?:Get:\d|Hit:\d|Ign:\d|Fetched \d|Selecting previously|Preparing to unpack|Unpacking|Setting up|Processing triggers|Suggested packages|Recommended packages|Adding|Created symlink|Removing|Purging)\b(?!.*error)/,
  /^(?:\S+ )?(?:evaluation )?warning: (?:The option .{0,300}(?:renamed|deprecated|removed)|Git tree .{0,300}is dirty|.{0,200}(?:deprecat|renamed)|ignoring (?:the )?(?:untrusted|client|unknown)|unknown setting|not including|you (?:did not|are|should|have)|updating lock|creating lock|.{0,80}stateVersion|.{0,60}unfree)/i,
  /\b(?:is deprecated|will be (?:removed|deprecated)|Obsolete option|deprecation warning|has been deprecated)\b/i,
  // "0 errors" and its like.
  /\b(?:0|no|zero|without(?: any)?) (?:known )?(?:data )?(?:errors?|failures?|failed|problems?|issues|faults|conflicts)\b/i,
  /\b(?:errors?|fail(?:ed|ures?)|faults?|skipped)(?: count)?\s*[:=]\s*0\b|\berror[- ]free\b|\b(?:if|any|for) (?:an? )?errors?\b(?!:)|# (?:fail|error|xfail|skip)\S*:? +\d+|\bxfail\b|^ok \d+ |\bpassed\b.{0,40}\b0 failed/i,
  // Compilers' own command lines, and configure looking for functions.
  /\s-(?:Werror|Wno-error|fno-|Wformat|Wl,)|^checking (?:for|whether|if|how|that)\b|^checking .{0,120}\.\.\. |^\/usr\/bin\/install -|^(?:gcc|g\+\+|cc|clang|ld|CC|CXX|LD|AR|GEN|INSTALL|mkdir|install|cp|ln|rustc) +\S|^\[\s*\d+(?:%|\/\d+)\] (?:Building|Compiling|Linking|Generating|Built|Installing)|^\s*(?:Compiling|Downloading|Downloaded|Checking|Installing|Building|Linking|Generating|Finished|Running) \S+ v?\d/,
  // What dpkg and its helpers keep books of.
  /^update-alternatives |^(?:status|install|upgrade|configure|trigproc|remove|purge|startup) \S+/,
  // Subjects of commits.
  /^\[\S+ (?:\(root-commit\) )?[0-9a-f]{7,40}\] |^[0-9a-f]{7,40} \S/,
  // What a shell traces.
  /^\++ \S/,
  // First times.
  /could not find any previously installed systemd-boot, installing|disabling multiplexing$|^error: kex_exchange_identification/,
  // Locales and terminals.
  /Setting locale failed|cannot (?:change|set) (?:the )?(?:default )?(?:locale|LC_)|\bLC_ALL\b|LANGUAGE =|^perl: warning|^warning: setlocale|\bTERM is not set|^tput: |\bstty: |mesg: ttyname|stdin: is not a tty|cannot set terminal process group|no job control/i,
  // Chroots and machines under construction.
  /install-info|Running in chroot|policy-rc\.d|no info dir entry|System has not been booted with systemd|Failed to (?:resolve (?:user|group|specifier)|replace specifiers|connect to (?:\w{1,20} ){0,4}bus\b|read machine ID|create (?:bus|new)|set up automounter)|\bmessage bus\b|system_bus_socket|invoke-rc\.d: (?:could not determine|policy)|update-alternatives: |delaying package configuration|apt does not have a stable CLI|^debconf: |dpkg-preconfigure|dpkg: warning|unable to (?:initialize frontend|resolve host \S+: (?:Name|Temporary))|^sudo: unable to resolve|^tar: .{0,80}(?:time stamp|in the future|Removing leading|implausibly)/i,
  // Looking before leaping: clean-up of what is not there.
  /^umount: .{0,200}\bnot (?:mounted|found)|^swapoff: .{0,60}\b(?:not|Invalid)\b|^(?:rm|rmdir): |^(?:ls|stat|cat|kill|grep|which): |^fatal: (?:No names found|no tag)|^\s*hint: |Permanently added|was skipped because|^Skipping\b|Condition check resulted|start condition (?:un)?met|ConditionPath|conditions? (?:was|were) not met/i,
  // Disk tools on a fresh disk.
  /os-prober|grub-probe: error: cannot find a GRUB drive for \S+\.\s+Check|^lsblk: .{0,80}not a block device|mkfs\.fat: warning|lowercase labels|wiping old|Caution: invalid (?:main|backup)|Creating new GPT entries|Found invalid GPT|The kernel is still using the old|world accessible|security hole|No error reported/i,
  // Virtual machines and boot logs.
  /\bread qmp\b|qemu-kvm: warning|^QMP|"event":|^\[ *OK *\]|\bACPI (?:BIOS )?(?:Error|Warning)|^ACPI|\b_OSC\b|regulatory\.db|no suitable video mode found|^Failed to access perfctr|\(Execute Disable\)/i,
  /^(?:Still )?waiting for (?!.{0,120}(?:fail|timed))|(?:is|are) waiting for|memory (?:usage|available|total|used)|^Freeing |^Memory: \d|disk space (?:needed|will be used|required)|additional disk space|newly installed|not upgraded/i,
];

/** The same of the kernel, which tells of every probe that found nothing, on virtual machines most of all. */
const KERNEL_NOISE: readonly RegExp[] = [
  /ACPI|_OSC\b|MMCONFIG|\bASPM\b|\bPNP0|\bMODSIGN\b|Couldn't get size: 0x8|\bfd0\b|floppy|i8042|\btsc: |TSC|APIC|MTRR|hpet|rtc_cmos|\bdmi:|DMAR|x86\/|\bMSR\b|Execute Disable/i,
  /\bPCI: |\bpci(?:e|ehp|eport)?\b.{0,60}(?:can't|no |failed to assign|not )|BAR \d+|no compatible bridge|rapl|SMBus|piix4|hub_port|psmouse|\bsr0\b|cdrom|vgaarb|ppdev|parport|lp: driver|usb .{0,40}(?:config|device descriptor)/i,
  /\bmce: |EDAC|Spectre|RETBleed|Meltdown|\b(?:MDS|TAA|MMIO) |mitigat|microcode: .{0,40}(?:sig|updated|revision)|tainting kernel|module verification failed|Perf(?:ormance)? Events|NMI watchdog: (?:Perf|Enabled|disabled)|workqueue|Unstable clock|urandom|random: |\bcrng\b/i,
  /\baudit|kauditd|\[drm\]|drm.{0,60}(?:fbdev|not |fail)|sysfs: cannot create duplicate|autofs4|ipmi|efi_pstore|\bsnd_|hdaudio|ALSA|bluetooth|cfg80211|regulatory|SELinux:|process '.{0,200}' (?:started with|can't)|\bNET: |\bima: |SVM: |PMU |device-mapper: (?:ioctl|uevent|core)|^systemd\[1\]: .{0,80}(?:ignor|Failed to (?:find module|insert module))/i,
  /(?:EXT4|BTRFS|FAT)-?(?:fs)? \([^)]{0,60}\): (?:mounted|re-mounted|unmounting|recovery|warning: mounting)|XFS \([^)]{0,60}\): (?:Mounting|Ending|Unmounting)/i,
];

/** Said of something that did not end it: tried again, passed over, done another way. */
const SOFT =
  /\bretrying\b|trying again|will (?:be )?(?:retry|retried|try)\b|re-?try(?:ing)? in|next (?:attempt|try)|(?<!or )\bignor(?:ed|ing)\b|\bskipp(?:ed|ing)\b(?<!error.{0,200})|falling back|fallback|continuing|non-?fatal|harmless|not (?:fatal|critical)|using (?:default|the old|cached)|attempt \d+ ?(?:of|\/) ?\d+|\btry(?:ing)? (?:the )?(?:next|another|other)\b|built? (?:it )?(?:locally|from source) instead|\(optional\)/i;

/** A retry that goes on where it stopped has got somewhere. */
const PROGRESSING = /retrying from offset/i;

export type Tone = 'noise' | 'soft' | 'hard';

/**
 * What a suspicious line is worth before any rule looks at it.
 * @param kernel whether the kernel said it
 */
export function toneOf(message: string, kernel: boolean): Tone {
  if (PROGRESSING.test(message) || NOISE.some((pattern) => pattern.test(message))) return 'noise';
  if (kernel && KERNEL_NOISE.some((pattern) => pattern.test(message))) return 'noise';
  return SOFT.test(message) ? 'soft' : 'hard';
}
