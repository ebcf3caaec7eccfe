import { rulesOf, type Rule } from './rule.js';

const HOST = String.raw`['"‘]?(?<host>[\w.-]+)`;
/** Words around a port 22 or a secure shell: its failures are of another class. */
const SSH = /\bssh[:_\s]|\bsshd?\b|port 22\b|:22:|\w@[\w.-]+'?(?:$|:)/i;

export const DNS: readonly Rule[] = rulesOf('network.dns', [
  [
    'resolve-host',
    new RegExp(
      String.raw`(?:could ?n[o']t|can(?:not|'t)|failed to|unable to|error) (?:resolv(?:e|ing)|look ?up|find) (?:the )?(?:host|hostname|proxy|address of host|host name|host address|server|name|domain(?: name)?|DNS|IP)(?: address)?(?: (?:for|of))?:? ?${HOST}?`,
      'i',
    ),
    0.93,
    'the name did not resolve: {host}',
    { unless: /resolve (?:user|group|specifier|depend)|server (?:certificate|version|key)/i },
  ],
  [
    'resolver',
    /Temporary failure (?:in name resolution|resolving)|Name or service not known|No address associated with (?:host)?name|nodename nor servname|failed to lookup address information|name resolution (?:failure|failed|error|timed out)|NameResolutionError|gaierror|Name does not resolve|Could not resolve '|Resolving timed out/i,
    0.93,
    'the resolver gave no answer',
    { evenAsWarning: true },
  ],
  [
    'programs',
    /\bgetaddrinfo(?:\(\))?:? .{0,60}(?:fail|error|E[A-Z]{2}|unknown|not)|\b(?:ENOTFOUND|EAI_AGAIN|EAI_NONAME|NXDOMAIN|SERVFAIL|UnknownHostException|ERR_NAME_NOT_RESOLVED|DNS_PROBE_\w+)\b|no such host\b|unknown host\b|Host not found\b|bad address ['"]|server misbehaving|no servers could be reached|unable to resolve host address|dns (?:lookup|resolution|query|error|failure)[^.]{0,30}(?:fail|error|timed out|timeout)|\bdns error\b|lookup \S+(?: on \S+:53)?: (?:no such|server|i\/o timeout|read udp|dial udp)|Unable to resolve (?:host|the)|Domain name not found|hostname (?:could not|cannot) be resolved|could not be resolved\b/i,
    0.92,
    'the name did not resolve',
  ],
]);

export const UNREACHABLE: readonly Rule[] = rulesOf('network.unreachable', [
  [
    'no-route',
    /Network (?:is )?unreachable|No route to host|(?:Destination )?(?:Host|Net(?:work)?)(?: is)? Unreachable|\b(?:EHOSTUNREACH|ENETUNREACH|ENETDOWN)\b|100% packet loss|Network is down|no (?:default )?(?:route|gateway)\b/i,
    0.9,
    'there is no way to the host',
  ],
  [
    'refused',
    /Connection (?:was )?refused|\bECONNREFUSED\b|actively refused/i,
    0.85,
    'the host refused the connection',
    { unless: new RegExp(`${SSH.source}|daemon-socket|/run/|\\.sock\\b|D-Bus|qmp|libvirt|X11|display`, 'i') },
  ],
  [
    'connect',
    /(?:Failed|Unable|Could ?n[o']t|Cannot|Error|not able) (?:to )?(?:connect(?:ing|ion)?|initiate the connection|establish (?:a )?(?:new )?connection|reach)(?: to| with)?(?: the)?:? ?['"‘]?(?<host>(?!bus|system|user|socket|daemon|nix|D-Bus|display|libvirt|qemu|docker|sock|unix|local|x server|wayland|pulse|session)[\w.-]+)/i,
    0.8,
    'no connection to {host}',
    {
      unless: new RegExp(
        `${SSH.source}|\\.sock\\b|daemon-socket|libvirt|D-?Bus|docker daemon|Wayland|X11|/run/|certificate|SSL|PulseAudio|pipewire|bluetooth|nix-daemon`,
        'i',
      ),
    },
  ],
  [
    'timed-out',
    /Connection (?:attempt )?tim(?:ed|e) ?out|\b(?:ETIMEDOUT|ESOCKETTIMEDOUT|ERR_CONNECTION_\w+)\b|(?:dial|read|write) (?:tcp|udp)\S* .{0,120}(?:i\/o timeout|timed out|refused|unreachable|no route)|connect(?:ion)? (?:to \S+ )?(?:timeout|timed out)|Timeout was reached|Max retries exceeded|(?:Connect|Read)Timeout|NewConnectionError|Operation (?:timed out|too slow)|read operation timed out|net\/http: request canceled|Failed to connect to \S+ port \d+/i,
    0.84,
    'the host did not answer in time',
    { unless: /(?:start|stop|reload) operation|:22:|port 22\b|\bssh\b/i },
  ],
  [
    'lost',
    /Connection reset by peer|\bECONNRESET\b|Recv failure|Send failure|Failed sending data to the peer|Failure when receiving data from the peer|Empty reply from server|Server returned nothing|transfer closed with|unexpected disconnect while reading sideband|early EOF|RPC failed; curl|remote end hung up|HTTP\/2 (?:framing|stream)|premature end of (?:file|chunk)|Connection (?:closed|aborted|broken) (?:by|prematurely)|IncompleteRead/i,
    0.72,
    'the connection broke off',
    { unless: new RegExp(`${SSH.source}|port \\d+$|Permission denied|kex_exchange|authenticat|Nix daemon`, 'i') },
  ],
  [
    'no-address',
    /No (?:DHCP ?OFFERS received|working leases|lease,? (?:failing|obtained)|IP(?:v4)? address|network (?:interfaces?|connection|devices?|card|link|hardware|carrier)|(?:ethernet|usable) (?:card|interface|device))|DHCP.{0,40}(?:fail|timed out|timeout|gave up|no answer)|Network autoconfiguration (?:has )?failed|(?:network|interface|ethernet|wi-?fi|connection) (?:configuration|activation|setup) (?:has )?failed|Failed to (?:bring up|configure (?:the )?(?:network|interface)|start Raise network|get (?:an )?IP|obtain (?:an )?(?:IP|lease|address))|NO-CARRIER|(?:could not|unable to|failed to|did not) (?:get|obtain|acquire|receive) (?:an? )?(?:IP|DHCP|address|lease)|SIOCGIFFLAGS|no such network interface|interface \S+ (?:does not exist|is down|not found)|network (?:is )?(?:not (?:available|configured|reachable|up)|offline)/i,
    0.82,
    'the machine has no network: no interface, link or address',
  ],
  [
    'interface',
    /Cannot find device ["'‘]?(?<interface>[a-z]\w+)/i,
    0.6,
    'there is no such network interface: {interface}',
  ],
  [
    'wait-online',
    /wait-online.{0,60}(?:fail|timed out|timeout)|Timeout occurred while waiting for network connectivity|Failed to start (?:Wait for Network|Network Manager Wait)|network-online\.target.{0,40}(?:fail|timed out)/i,
    0.84,
    'the network did not come up',
  ],
]);

export const HTTP: readonly Rule[] = rulesOf('network.http', [
  [
    'status',
    /(?:HTTP(?: error|\/[\d.]+| status| response| request| code)*|returned error|status(?:[ _]?code)?|response(?: code| status)?|error(?: code)?|server (?:returned|responded|replied)(?: with)?|fetch(?:ing)? \S+):?[ =(]*(?:code |status )?(?<status>4(?!29)\d\d|5\d\d)\b/i,
    0.85,
    'the server answered with HTTP status {status}',
    { unless: /rate limit|too many requests|exit(?:ed)? (?:status|code)|\bexit\b.{0,12}\b[45]\d\d/i },
  ],
  [
    'reason',
    /\b(?:40[0134578]|410|50[0234])[: ]+(?:Bad Request|Unauthorized|Forbidden|Not Found|Method Not Allowed|Proxy|Request Time|Gone|Internal Server|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway)|\b(?:Bad Gateway|Service Unavailable|Gateway Time-?out|Internal Server Error|403 Forbidden)\b|Tunnel connection failed|CONNECT tunnel failed|HTTP code \d+ from proxy|response 4\d\d|denied: requested access|manifest unknown|unauthorized: (?:authentication|access)|Repository not found|repository '[^']*' not found/i,
    0.85,
    'the server refused or failed',
    { unless: /rate limit|too many requests/i },
  ],
  [
    'certificate',
    /\bx509:|certificate verif(?:y|ication) failed|SSL certificate (?:problem|verification)|server certificate verification|(?:unable|failed) to (?:get|verify) (?:the )?(?:local issuer|first|leaf|certificate|peer)|self[- ]signed certificate|certificate (?:has|is) (?:expired|not (?:yet )?valid|not trusted|untrusted|revoked|unknown)|certificate (?:was )?signed by (?:an )?unknown|unknown (?:certificate )?authority|Peer(?:'s)? certificate (?:cannot|issuer|is)|SSL peer certificate|Problem with the SSL CA cert|certificate verify locations|CERT_\w+|SEC_ERROR|not trusted.{0,20}certificate|The certificate of \S+ is not|certificate common name|SSLCertVerificationError|no CA certificates?\b/i,
    0.87,
    'the server’s certificate was not accepted',
    { unless: /acme|lego/i },
  ],
  [
    'tls',
    /\bSSL_ERROR\w*|SSL (?:connect error|routines|handshake|_connect)|SSL_connect|TLS (?:handshake|connect|connection)[\w ]*(?:error|fail|timeout|timed out)?|gnutls_handshake|tlsv1 alert|wrong version number|SSLError|OpenSSL::SSL|handshake failure|TLS packet|A TLS/i,
    0.8,
    'no secure connection to the server could be made',
    { unless: /ssh: handshake|TLS handshake timeout/i },
  ],
  [
    'apt',
    /does not have a Release file|no longer has a Release file|Unable to find expected entry|Bad archive mirror|mirror.{0,40}(?:not valid|invalid|unavailable)|Failed to (?:fetch|download) (?:metadata|repo|from mirror)|All mirrors were tried|Cannot (?:download|prepare) (?:internal mirrorlist|repomd\.xml|any mirror)|repomd\.xml.{0,40}(?:fail|error|Status)|failed retrieving file|failed to synchroni[sz]e (?:all|any) databases|No more mirrors to try|Couldn't (?:download|retrieve) (?:dists|the)|Failed getting release file|Some index files failed to download/i,
    0.72,
    'the mirror does not have what was asked for',
    { unless: /Hash Sum|Could not resolve|Temporary failure|curl\s*\(?6\)?/i },
  ],
  [
    'download',
    /(?:unable|failed|could ?n[o']t|cannot|error) (?:to )?(?:download|downloading|fetch(?:ing)? (?:url|file|http|the (?:url|file))|retriev(?:e|ing))\b|download (?:of \S+ )?(?:has )?failed|curl: \((?:22|35|51|56|58|60|77|83|91)\)|curl error/i,
    0.6,
    'a download failed',
    { unless: /Hash Sum|No space left|hash mismatch/i },
  ],
]);

export const RATE_LIMIT: readonly Rule[] = rulesOf('network.rate-limit', [
  [
    'too-many',
    /\btoo ?many ?requests\b|(?:HTTP(?: error|\/[\d.]+| status)?|error|status(?: code)?|code|response)[: =(]*429\b|\b429\b[: ]*(?:Too|Client|error)|rate[- ]?limit(?:ed|ing|s)?\b.{0,60}(?:exceed|reach|hit|error)|(?:exceeded|reached|hit|over) .{0,50}rate[- ]?limit|(?:API|secondary|pull|download|request) rate[- ]?limit|You have reached your (?:pull|unauthenticated)|\bThrottl(?:ed|ing(?:Exception)?)\b|SlowDown\b|Request(?:s)? (?:limit|quota) exceeded|RequestLimitExceeded|too many (?:certificates|registrations|failed authorizations|new orders)|rateLimited|retry[- ]after: ?\d+/i,
    0.93,
    'the server asks to be asked less often',
  ],
  [
    'rate-limited',
    /\brate[- ]limit(?:ed|ing)?\b/i,
    0.75,
    'the server asks to be asked less often',
    { unless: /journal|kmsg|suppress|callbacks|printk|audit/i },
  ],
]);
