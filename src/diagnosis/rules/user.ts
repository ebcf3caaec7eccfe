import { rulesOf, type Rule } from './rule.js';

export const USER_INPUT: readonly Rule[] = rulesOf('user.input', [
  [
    'option',
    /(?:unrecogni[sz]ed|unknown|invalid|illegal|unsupported|unexpected|ambiguous|bad|missing) (?:command[- ]line )?(?:options?|arguments?|flags?|switch|parameters?|sub-?commands?|commands?|operands?|choice|usage|action|keyword|positional)\b|no such (?:option|command|subcommand)|(?:option|argument|flag|parameter)\S* .{0,60}(?:requires? an? (?:argument|value|parameter)|not recogni[sz]ed|is (?:required|invalid|unknown|mandatory|missing|not (?:valid|allowed|recogni[sz]ed|supported))|expected (?:one|at least|\d))|required (?:flag|argument|option|parameter|variable)|(?:the )?following (?:required )?arguments (?:are|were|was)|invalid choice|does not support the specified|unrecogni[sz]ed arguments|too (?:few|many) arguments|(?:not|provided) a valid (?:option|command)|mutually exclusive|wrong number of arg|missing (?:file )?operand|flag provided but not defined/i,
    0.74,
    'the command was given a wrong option or argument',
    {
      unless:
        /kernel command line|mount:|Unknown kernel|invalid argument\s*$|Linux version|nix-store|modprobe|mkfs|sgdisk|cryptsetup|kexec|errno/i,
    },
  ],
  [
    'value',
    /['"‘`][^'"’`]{1,80}['"’`] is not (?:a |an |one of )?(?:valid|allowed|recogni[sz]ed|known|supported|acceptable|permitted|available)?\b.{0,40}(?:language|locale|time ?zone|key ?map|keyboard|layout|value|name|host ?name|user ?name|choice|option|size|number|integer|url|address|format|path|profile|disk|device|template|version|email|identifier|key)|(?:invalid|illegal|bad|malformed|incorrect|unsupported|unknown) (?:\w+ )?(?:mode|size|value|input|host ?name|user ?name|locale|language|time ?zone|keymap|keyboard|size|format|number|name|date|range|syntax for|entry|selection|response|setting|configuration|config|url|ip|mac|cidr|identifier|domain|email|template|profile|image name|character|type)\b|is not (?:a )?valid\b|not a valid\b|is an invalid|must (?:be (?:set|specified|provided|given|one of|a |an |at least|at most|between|in|less|greater|unique|non-?empty|absolute|positive|lower|root|run as)|specify|provide|contain|have|match|start with|not be|end|consist)\b|(?:was|were|is|are|has) not (?:been )?(?:set|specified|provided|given|defined|supplied)\b|(?:please|you (?:must|need to|have to|should)) (?:specify|provide|set|enter|choose|select|supply|give|define)\b|needs? to be (?:set|specified|defined|provided|run)|(?:no|missing|empty) (?:\w+ ){0,2}(?:specified|provided|given|supplied|selected|defined)\b|is required(?: but|\.|,|$| when| for| to)|cannot be (?:empty|blank|null|zero|negative)|can(?:not|'t) be (?:used|set|specified) (?:together|with|both)|unbound variable|parameter (?:null or )?not set|passwords? (?:do not|don't|did not) match|already (?:exists|taken)\b.{0,40}(?:name|user)|typo|did you mean|out of range|validation (?:error|failed)|schema (?:error|validation)|does not match (?:the )?(?:schema|pattern|regex)/i,
    0.66,
    'a value that was given is wrong or missing',
    {
      unless:
        /store path|signature|superblock|certificate|LUKS|partition|GPT|ESP\b|EFI|archive|kernel|\bapt\b|flake|block device|attribute|error: The option|magic|gzip|ELF|acpi|pci\b|fs type|authentication|secret|unit file|ExecStart|\bmount(?:ing)?\b/i,
    },
  ],
  [
    'configuration-file',
    /(?:error|problem|mistake|invalid|unknown|unexpected|unsupported|duplicate).{0,60}(?:kickstart|preseed|autoinstall|cloud-config|user-data|user data|answer file|answers? file|autoyast|ignition config|butane|config(?:uration)? file|yaml|toml|json)\b|(?:kickstart|preseed|autoinstall|cloud-config|user-data|autoyast|ignition|config(?:uration)?(?: file)?|yaml|toml|json)\b.{0,60}(?:is invalid|not valid|invalid|malformed|parse error|parsing error|syntax error|failed to parse|validation|error at line|unknown (?:key|field|command))|error at line \d+,? column \d+|(?:mapping values|could not find expected|found character that cannot|did not find expected)|(?:unknown|unexpected|unrecogni[sz]ed|additional|invalid) (?:field|key|property|properties|directive|section|item|element)\b/i,
    0.68,
    'a file of answers or settings is wrong',
    { unless: /signed|sops|unit file|\.service:|sshd|nix\.conf|ssh_config|keyring|store path|flake|grub|gpg/i },
  ],
  [
    'missing-file',
    /(?:command|program|executable|script) not found|: not found$|command not found|No such file or directory: '[^']+'|can(?:not|'t) (?:find|open|read) (?:the )?(?:config|configuration|input|answer|specified)(?: file)?/i,
    0.42,
    'a program or file that was named is not there',
  ],
  [
    'not-root',
    /(?:must|needs? to|has to|should|please) (?:be )?(?:run|executed|started|invoked)? ?(?:as|with|by) (?:the )?(?:root|sudo|superuser|administrator)|are you root|requires? root|(?:not|only) root\b|you (?:are not|need to be|must be) (?:the )?root/i,
    0.66,
    'it must be run as root',
  ],
]);
