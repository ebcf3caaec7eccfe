import { rulesOf, type Rule } from './rule.js';

export const SSH_AUTH: readonly Rule[] = rulesOf('ssh.auth', [
  [
    'denied',
    /Permission denied \((?<methods>[a-z-]+(?:,[a-z-]+)*)\)|Permission denied, please try again|Permission denied\s+\(?public|Too many authentication failures|[Nn]o (?:more |supported )?authentication methods|unable to authenticate|attempted methods \[|[Aa]uthentication (?:failed|failure|refused)|Failed (?:password|publickey|none) for|All configured authentication methods failed|Login incorrect|authentication (?:is )?(?:required|error)|Access denied for user|(?:ssh|SSH)\b.{0,60}(?:password|key|public ?key|login|credentials?) .{0,30}(?:rejected|refused|incorrect|wrong|denied|not accepted)|Permission denied \(keyboard|no mutual signature|User \S+ from \S+ not allowed|not in PubkeyAccepted|Connection closed by authenticating user|remote: (?:Permission|Invalid username)/i,
    0.9,
    'the server refused the key or password',
    { unless: /docker|registry|pam_unix\(sudo/i },
  ],
  [
    'unprotected',
    /UNPROTECTED PRIVATE KEY|Permissions \d+ for '[^']*' are too open/i,
    0.88,
    'the key can be read by others, so that ssh does not use it',
    { evenAsWarning: true },
  ],
  [
    'key',
    /bad permissions|Load key \S+ ?.{0,30}(?:invalid|denied|error|incorrect|No such)|signing failed|agent refused operation|[Ii]dentity file \S+ not accessible|invalid (?:format|private key)|(?:no|No) (?:ssh )?(?:identities|identity|private key|SSH key|keys?)\b.{0,30}(?:found|available|accessible|loaded|could)|(?:Error|error) (?:loading|reading) (?:private |ssh |identity )+key|Bad passphrase|Could not open a connection to your authentication agent|bad ownership or modes|key_load_(?:public|private)|privatekey|(?:public|private) key .{0,60}(?:not (?:found|accepted)|rejected|missing|refused)|AuthorizedKeys\w+ .{0,40}(?:fail|bad)|error in libcrypto/i,
    0.82,
    'the key cannot be used',
    { unless: /banner|\bgpg\b|gpg:|apt|sops|\bage\b|agenix|Release|pacman|cache|NO_PUBKEY|signify|TLS|certificate/i },
  ],
]);

export const SSH_CONNECTION: readonly Rule[] = rulesOf('ssh.connection', [
  [
    'host-key',
    /Host key verification failed|HOST IDENTIFICATION HAS CHANGED|Offending \w+ ?key|key mismatch|authenticity of host .{0,80}can't be|known_hosts|No (?:\w+ )?host key is known|[Hh]ost key .{0,60}(?:changed|mismatch|differs|not|unknown)|DNS SPOOFING|sshd: no hostkeys/i,
    0.92,
    'the host’s key is not the one that is known',
    { evenAsWarning: true, unless: /Permanently added|Warning: Permanently|known_hosts.{0,30}(?:updated|added)/i },
  ],
  [
    'refused',
    /(?:connect to (?:host|address) \S+ port \d+|port 22|:22\b|sshd?)\b.{0,120}?: ?(?:connect: )?(?:Connection (?:refused|reset|closed)|Operation timed out)|dial tcp \S+:22: .{0,60}(?:refused|reset|timed out|timeout)|\bssh\b.{0,80}connection refused|port 22[^\n]{0,60}(?:refused|reset|closed)/i,
    0.9,
    'the secure shell of the host refused the connection or broke it off',
    { unless: /No route|unreachable/i },
  ],
  [
    'timed-out',
    /(?:connect to (?:host|address) \S+ port \d+|port 22|:22\b|ssh): .{0,60}tim(?:ed|e) ?out|ssh.{0,60}connect\w{0,10} .{0,30}(?:timed out|timeout|lost|closed|fail\w*|dropped)/i,
    0.8,
    'the host’s secure shell did not answer',
  ],
  [
    'exchange',
    /(?:kex|ssh)_exchange_identification|[Kk]ey exchange (?:failed|error)|Unable to negotiate|no matching (?:host key|key exchange|cipher|MAC|kex)|banner (?:exchange|line)|error reading ssh protocol|ssh: (?:handshake failed(?!.{0,60}unable to authenticate)|disconnect|overflow|unexpected)|Bad packet length|Corrupted MAC|packet_write_(?:wait|poll)|ssh_dispatch_run|ssh_packet|protocol (?:error|mismatch).{0,30}ssh|Did not receive identification|Bad protocol version identification/i,
    0.88,
    'no secure shell could be agreed with the host',
  ],
  [
    'lost',
    /Connection (?:to \S+ |closed |reset ){0,3}(?:closed|reset) by (?:remote host|\S+ port \d+|(?!peer)\d+\.\d+\.\d+\.\d+)|client_loop: send disconnect|Write failed: Broken pipe|Timeout, (?:server|client) .{0,40}not responding|lost connection|(?:ssh|SSH|remote) (?:connection|session|tunnel|channel)\w* .{0,40}(?:lost|closed|dropped|terminated|reset|broken|died)|mux_client|(?:failed|unable|could not|cannot|error) (?:to )?(?:start|establish|open|make|create|initiate|connect(?:ing)?)(?: to)? (?:an? |the |\S+ (?:via|over|with|using) )?(?:SSH|ssh)\b|(?:cannot|failed to|could not) connect to ['"‘]?\S+@\S+|error connecting to \S+ via ssh|SSH (?:is )?not (?:available|reachable|ready)|sftp.{0,30}(?:fail|error|closed)|scp: .{0,40}(?:fail|closed|lost)|ssh exited (?:with|unexpectedly)|exit status 255\b/i,
    0.84,
    'the secure shell’s connection was lost',
    { unless: /Permission denied|authenticat|publickey/i },
  ],
]);
