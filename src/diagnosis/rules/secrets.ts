import { rulesOf, type Rule } from './rule.js';

export const SECRETS: readonly Rule[] = rulesOf('auth.secrets', [
  [
    'sops',
    /sops-install-secrets\S*: |sops(?:-nix)?\b.{0,100}(?:fail|error|cannot|not found|no such|missing|invalid|could not)|failed to get the data key|Error (?:getting|decrypting) (?:data key|tree|key)|data key required to decrypt|sops metadata not found|MAC mismatch|no master keys|0 successful groups required|setupSecrets|secrets? .{0,100} (?:is not valid|in \S+ is not valid)|cannot read keyfile/i,
    0.92,
    'sops could not decrypt or find a secret',
    { unless: /units? to restart|systemctl|Importing? \S+ as|Imported \S+ as|copying path|starting/i },
  ],
  [
    'age',
    /no identity matched any|\b(?:age|rage|agenix|ragenix)\b: ?(?:error|.{0,80}(?:fail|no |not |cannot|unknown|missing|malformed))|\[agenix\].{0,60}(?:fail|WARNING|error|not |no )|no readable identities|agenix.{0,80}(?:fail|error|not |cannot|missing|no such)|(?:unknown|malformed) (?:identity|recipient|secret key)|no identities? (?:specified|found|file)|failed to read header|incorrect identity|No matching keys found|\.age\b.{0,80}(?:No such|fail|not |cannot|missing|error)|age(?:Key)?File .{0,40}(?:not|missing)/i,
    0.9,
    'age could not decrypt or find a secret',
    { evenAsWarning: true, unless: /manage|page\b|storage/i },
  ],
  [
    'decrypt',
    /(?:fail(?:ed|ure|s)?|unable|could not|couldn't|cannot|can't|error) (?:to |while |when |in )?(?:be )?decrypt(?:ed|ing|ion)?\b|decryption (?:of .{0,60})?(?:has )?failed|decrypt(?:ing|ion)? .{0,80}(?:fail|error)|bad decrypt|No secret key\b|wrong (?:passphrase|password|key)|No key available with this passphrase|No usable (?:keyslot|token)|(?:incorrect|invalid|bad) (?:passphrase|decryption key|vault password|password)|Vault .{0,40}(?:sealed|denied|password)|Attempting to decrypt but no vault secrets|passphrase (?:is )?(?:incorrect|wrong|required|not)|gpg: .{0,60}(?:no secret|No secret|failed)|pinentry\S*:? .{0,40}(?:error|fail|No )|public key decryption failed|could not decrypt|private key .{0,40}(?:to|for) decrypt/i,
    0.88,
    'a secret could not be decrypted',
    { unless: /ssh-add|sshd|authoriz/i },
  ],
  [
    'file',
    /\/run\/(?:agenix|secrets|keys|secrets\.d|agenix\.d|secrets-for-users|credentials)[^\s:]*'?:? .{0,80}(?:No such file|not found|denied|does not exist|missing|cannot)|(?:No such file or directory|not found|missing|cannot (?:open|read|stat|access)).{0,80}\/run\/(?:agenix|secrets|keys)\b|(?:secrets?|credentials?|password|key|token|passphrase|api ?key)[ -_]?(?:file)?s? ['"‘`]?\S{0,100}['"’`]? ?(?:does not exist|(?:is |was |are |were )?(?:not (?:found|set|available|readable|present|configured|defined|in)|missing)|could not be (?:found|read|loaded|retrieved)|No such file)|(?:missing|no|unset|undefined|unknown) (?:secret|credential|password|token|private key|decryption key|api ?key|age key|key ?file)s?\b|(?:cannot|could not|failed to|unable to|error) (?:find|read|open|get|load|fetch|retrieve|set up|access|obtain|install|provision|reading|getting|loading|opening) (?:the |a |any |host |user )?(?:\S+ )?(?:secrets?|credentials?|key ?file|password ?file|age key|private key|encryption key|token|vars?)\b|status=243\/CREDENTIALS|Failed at step CREDENTIALS|Failed to open key ?file|is not in the password store|(?:secret|credential|password) manager.{0,40}(?:fail|error)|password-store .{0,40}(?:fail|not|empty)/i,
    0.82,
    'a secret is not where it is looked for',
    {
      unless:
        /NO_PUBKEY|apt|module verification|signature|foreign key|ssh-keygen|unexpected token|syntax|invalid token|http|registry|docker|YubiKey|keyboard|crng|undefined variable/i,
    },
  ],
]);
