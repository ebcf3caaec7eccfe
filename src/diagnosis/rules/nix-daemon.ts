import { rulesOf, type Rule } from './rule.js';

export const NIX_DAEMON: readonly Rule[] = rulesOf('nix.daemon', [
  [
    'socket',
    /(?:cannot|unable to|failed to|could not) connect to (?:socket at|(?:the )?(?:nix.?)?daemon)|daemon-socket\/socket|(?:connecting to|opening a connection to|cannot open connection to) (?:the )?(?:Nix |remote store ')?daemon|Nix daemon (?:disconnected|crashed|is not|out of|not)|nix-daemon(?:\.service)?\b.{0,80}(?:not running|is down|fail|dead|refused|crash|killed)|nix-daemon: error|acquiring\/releasing lock|daemon (?:is )?too old|(?:protocol|worker) version mismatch|Nix daemon (?:protocol|out)/i,
    0.92,
    'the Nix daemon does not answer',
    { unless: /bad unit file|oom|Out of memory/i },
  ],
  [
    'database',
    /(?:SQLite|Nix) database .{0,120}(?:is busy|is locked|cannot|fail|corrupt|malformed|too)|executing SQLite|database disk image is malformed|cannot open (?:SQLite|Nix) database|(?:opening|creating) (?:the )?(?:SQLite|Nix) database|\bSQLITE_(?:PROTOCOL|CORRUPT|READONLY|IOERR|CANTOPEN|BUSY)\b|database is locked|database schema|schema (?:version )?\d+ is newer|unable to open database file|attempt to write a readonly database|db\.sqlite/i,
    0.86,
    'the Nix database cannot be used',
    { evenAsWarning: true, unless: /database or disk is full/i },
  ],
  [
    'permission',
    /'?\/nix(?:\/store|\/var)?\b.{0,120}?: (?:Permission denied|Operation not permitted|Read-only file system)|(?:ownership|permission)s? (?:of|on|or permission on) '?\/nix|(?:Permission denied|Operation not permitted).{0,60}\/nix\/|opening (?:global |big |lock )*lock file|could not (?:set|change) (?:permissions|ownership) (?:on|of)|setting permissions on|changing owner(?:ship)? of (?:path )?'|(?:cannot|could not) create (?:directory )?['‘]?\/nix|directory '?\/nix'? does not exist|must be owned by root|not (?:owned|writable) by (?:the )?(?:current )?user|unable to install Nix|creating (?:directory|symlink|file|temporary)[^:]{0,40}'\/nix\/[^']*': /i,
    0.87,
    'Nix may not write where it must',
    { unless: /kvm|safe\.directory|repository path|No space left/i },
  ],
  [
    'trust',
    /(?:is|are) not (?:a )?trusted user|you are not (?:a )?(?:trusted|privileged|allowed)|(?:not allowed|not permitted) to (?:connect|use) (?:the Nix daemon|nix)|ignoring the (?:client-specified|untrusted)|only (?:trusted|root) users? (?:can|may)/i,
    0.8,
    'the Nix daemon does not trust this user',
  ],
  [
    'build-users',
    /the group ['‘]?nixbld['’]? .{0,80}(?:does not exist|has no members)|all build users are currently in use|build-users-group|(?:user|group) ['‘]?nixbld\w*['’]? (?:does not|not|already)/i,
    0.82,
    'the users that build are missing or all in use',
  ],
  [
    'sandbox',
    /cloning builder process|setting up a private mount namespace|(?:deleting|creating|removing) cgroup|unable to (?:start|fork) (?:build|child) process|this system does not support the kernel namespaces|(?:unsharing|unshare|setns|clone)(?: \S+)?(?: namespace)?: (?:Operation not permitted|Invalid)|unable to load seccomp|cannot set (?:uid|gid|host|personality)|(?:error|Error):? (?:.{0,60})?(?:user namespaces?|namespaces) .{0,40}(?:not (?:enabled|supported|permitted)|disabled|fail)|Cannot (?:open|write) .{0,20}uid_map|writing .{0,40}uid_map/i,
    0.86,
    'Nix cannot make its build sandbox',
  ],
  [
    'store',
    /path '[^']*' is not (?:valid|in the (?:Nix )?store)|(?:is|are) not (?:a )?valid (?:store )?path|don't know how to (?:build|open)|(?:cannot|could not) (?:delete|add|register|remove|link|open|create) (?:path |file |link |store |dead |symlink )*'?\/nix\/(?:store|var)|error: (?:writing|reading|creating|renaming|linking|unlinking|deleting|statting|getting status of) (?:\w+ )*'?\/nix\/(?:store|var)|path '[^']*' (?:is|was) (?:in use|still alive|disappeared)|store (?:path )?'[^']*' (?:does not exist|is not)|remounting \S*\/nix\/store|\/nix\/store.{0,60}Read-only file system|getting status of '\/nix\/(?:var|store)/i,
    0.8,
    'the Nix store is not in order',
    { unless: /-source\/|\.nix'|flake|hash mismatch|No space left|No such file.{0,40}\/boot/i },
  ],
  [
    'settings',
    /unknown (?:setting|flag) '|(?:error|warning): .{0,60}nix\.conf|(?:invalid|illegal) (?:value|configuration line).{0,60}nix\.conf|experimental (?:Nix )?feature '[^']*' is (?:disabled|not enabled)|experimental-features/i,
    0.6,
    'a setting of Nix is wrong or missing',
  ],
]);
