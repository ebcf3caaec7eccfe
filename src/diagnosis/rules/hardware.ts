import { rulesOf, type Rule } from './rule.js';

export const HARDWARE: readonly Rule[] = rulesOf('hardware.firmware', [
  [
    'module',
    /modprobe: (?:FATAL|ERROR)|modprobe: (?:can't|module|.{0,60}not found)|insmod: (?:ERROR|can't|could not|.{0,60}(?:fail|error))|[Mm]odule ["'‘]?[\w-]+["'’]? not found|could not (?:insert|load|find) (?:(?:kernel )?module )['"‘]?\w+|could not insert ['"‘]?\w+|(?:Failed|failed|Unable|unable|cannot|could not) (?:to )?(?:load|find|insert|build|locate) (?:the )?(?:kernel |required )?(?:modules?|drivers?)\b|kernel module .{0,60}(?:missing|not (?:found|loaded|available)|fail)|disagrees about version of symbol|Unknown symbol (?:in module|\w+ \(err)|Invalid module format|missing kernel (?:module|driver|support)|root module:? .{0,40}not found|no kernel modules? (?:were )?found|module is missing/i,
    0.84,
    'a kernel module is missing or does not load',
    {
      unless:
        /python|node_modules|npm|perl|import |\.js\b|require|ModuleNotFound|nix-eval|go: |grub|pam_|autofs4|ipmi_devintf|lp:|efi_pstore|Failed to find module/i,
    },
  ],
  [
    'firmware',
    /Direct firmware load for (?!regulatory\.db)(?<firmware>\S+) failed|firmware: failed to load (?!regulatory)(?<file>\S+)|(?:failed|unable|could not|cannot) to (?:load|find|request|read|get|download) (?:the )?(?:\S+ )?firmware|(?:missing|no suitable|no) firmware (?:file|found|files|image|for)?|firmware (?:file|image|blob)?s? ?.{0,40}(?:is |are |was )?(?:missing|not found|not available|fail(?:ed)?|could not|needed|required)|request_firmware.{0,30}fail|Possible missing firmware|needs? (?:the )?non-free firmware|microcode .{0,60}(?:fail|error|missing)/i,
    0.83,
    'a device’s firmware is missing: {firmware}{file}',
    { unless: /regulatory|secure ?boot|EFI variables|efivar|u-?efi firmware settings/i },
  ],
  [
    'virtualisation',
    /disabled by (?:the )?bios|KVM (?:acceleration )?(?:can NOT|can not|cannot|could not|is not|isn't|not) ?(?:be )?(?:used|available|supported|enabled)?|(?:Could not access|could not access|failed to initiali[sz]e|not found: |Unable to (?:open|access)|cannot access|no access to) (?:the )?(?:KVM|kvm|\/dev\/kvm)|\/dev\/kvm\b.{0,80}(?:No such|denied|not (?:exist|found|available|accessible)|does not|missing|busy|cannot|could)|does(?:n't| not) support (?:KVM|VT|virtuali[sz]ation|hardware|64[- ]bit|long mode|AVX|SSE)|VT-x (?:is )?(?:disabled|not (?:available|enabled|supported))|AMD-V (?:is )?(?:disabled|not)|VERR_(?:VMX|SVM|VM_DRIVER|SUP)\w*|(?:hardware )?virtuali[sz]ation .{0,60}(?:not (?:enabled|supported|available)|disabled|is required|unavailable|unsupported)|nested (?:virtuali[sz]ation|paging).{0,40}(?:not|disabled|unsupported)|Operation not supported.{0,40}kvm|invalid accelerator|Virtuali[sz]ation\.framework.{0,60}(?:fail|error|not)|HV_\w+|hv_vm_create/i,
    0.88,
    'the processor’s virtualisation cannot be used',
  ],
  [
    'cpu',
    /requires an? \S+ CPU|CPU (?:does not|doesn't|do not|is not|ISA level is lower|lacks|feature)\b|(?:unsupported|incompatible|missing|required) (?:CPU|processor|hardware|GPU|instruction set|architecture)(?: feature| model| type)?s?\b|(?:host|guest|processor|CPU|machine) (?:doesn't|does not) support (?:the )?(?:requested |required )?\w+|Illegal instruction|invalid opcode|Exec format error|(?:not supported|unsupported) (?:by|on) (?:this|the|your) (?:CPU|processor|hardware|machine|host)|wrong (?:CPU|ELF|architecture)|unable to find CPU model|kernel requires .{0,60}not present|features? not present on the CPU|cannot execute binary file/i,
    0.82,
    'the processor lacks what the software needs, or is of another kind',
    { unless: /script|\.sh:/i },
  ],
  [
    'device',
    /(?:GPU|graphics card|NVIDIA|nvidia|NVRM|amdgpu|i915|nouveau|radeon|iwlwifi|ath\d+k|brcmfmac|rtw\d+|r8169|e1000e?|mt7\d\w{0,20}|mpt\dsas|nvme nvme\d|ata\d[\d.]*|usb \d[\d.-]*|thunderbolt|tpm(?: tpm\d)?|tpm_\w+|ACPI|PCIe? Bus|pcieport)\b[^\n]{0,80}?(?:probe (?:of|with) .{0,60}failed|failed with error -?\d+|probe failed|initiali[sz]ation failed|Fatal error|failed to initiali[sz]e|has fallen off|not responding, aborting|Unable to change power state)|No (?:supported )?(?:NVIDIA|GPU|TPM|graphics|display)[\w ]{0,40} (?:found|device|detected|available)|TPM\S* .{0,60}(?:not (?:found|available|present)|missing|fail)|Hardware Error|Machine [Cc]heck (?:Exception|events|error)|unsupported hardware|uncorrected (?:hardware )?error/i,
    0.7,
    'a device could not be started',
    { unless: /ACPI (?:BIOS )?Error|regulatory|floppy|fd0/i },
  ],
]);

export const KEXEC: readonly Rule[] = rulesOf('kexec', [
  [
    'load',
    /kexec(?:_file)?_load\b.{0,60}(?:fail|error|:)|kexec(?:_core|_file|-tools)?: .{0,120}(?:fail|error|not|cannot|could|can't|invalid|no |unable|denied|unsupported|too)|(?:fail(?:ed|ure)?|error|unable|could not|cannot|can't|denied|did not|reject\w*|not (?:permitted|supported|allowed)|refus\w+)\b.{0,100}\bkexec|\bkexec\w*\b.{0,100}\b(?:fail(?:ed|ure|s)?|error|did not|not (?:found|permitted|supported|allowed|available|loaded|possible|work)|denied|disabled|restricted|cannot|could not|unable|hang(?:s|ed)?|timed out|crash\w*|command not found|unsupported|never|rejecting|invalid|panic)/i,
    0.9,
    'the running kernel could not start another',
    { unless: /kexec\.service: (?:Unit|Skipped)|kexec-tools.{0,20}(?:copying|unpack)/i },
  ],
  [
    'segments',
    /locate_hole failed|(?:Could not|could not|cannot|Cannot) find a free area of memory|Cannot (?:determine the file type of|load) .{0,80}(?:kernel|bzImage|vmlinuz|image)|Invalid 2nd (?:kernel|device tree)|overlaps memory segment|Overlapping memory segments|crashkernel\b.{0,60}(?:fail|error|not|cannot)|Cannot open \/proc\/(?:kcore|iomem|device-tree)|(?:Set|set) device tree \w+ failed|\bfdt_\w+\b.{0,60}(?:fail|NOSPACE)|kexec_load_disabled|Kernel is locked down.{0,60}kexec|makedumpfile|kdump\b.{0,80}(?:fail|error|not)/i,
    0.82,
    'the other kernel could not be put into memory',
  ],
]);
