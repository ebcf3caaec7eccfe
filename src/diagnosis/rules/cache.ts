import { rulesOf, type Rule } from './rule.js';

export const CACHE: readonly Rule[] = rulesOf('cache.bad', [
  [
    'hash-mismatch',
    /hash mismatch|has hash \S+,? but (?:expected|should)|Hash Sum mismatch|(?:nar|content|source)[- ]?hash .{0,60}(?:mismatch|does not match|differs)|has (?:a )?(?:wrong|different|incorrect) (?:hash|checksum|sha256)|(?:sha\d*|md5|checksum|digest|integrity)(?:sum)?s?\b.{0,60}?(?:mismatch|does ?n[o']t match|do not match|did ?n[o']t match|NOT OK|not match|incorrect|differs?|is wrong|FAILED|verification failed|(?:check )?failed|invalid)|EINTEGRITY|Size mismatch|File has unexpected size/i,
    0.92,
    'what was downloaded is not what was expected',
    { evenAsWarning: true },
  ],
  [
    'nix-signature',
    /lacks (?:a |any )?(?:valid )?signature|(?:is )?not signed by (?:any of the |a )?(?:trusted )?keys?|does not have a valid signature|no (?:valid )?signature|signature .{0,40}(?:invalid|not trusted|untrusted)|is not (?:a )?trusted (?:public )?key|untrusted (?:path|substituter|signature)/i,
    0.9,
    'the download is not signed by a trusted key',
    { unless: /module|kernel|shim|Secure ?Boot/i },
  ],
  [
    'package-signature',
    /\bNO_PUBKEY\b|\b(?:BADSIG|EXPKEYSIG|KEYEXPIRED|REVKEYSIG)\b|signatures? (?:couldn't|could not|were|cannot) (?:not )?be verified|signatures? (?:were|was|is|are) (?:invalid|not valid|unknown trust|marginal trust)|signature from .{0,120} is (?:unknown|marginal|invalid)|invalid or corrupted (?:package|database)|(?:repository|Release(?: file)?|InRelease)\b.{0,120}(?:is not signed|signed by unknown key|not valid yet|(?:is )?expired)|GPG (?:check|key|signature|error).{0,60}(?:FAILED|fail|missing|not installed|mismatch|invalid|:)|Public key for \S+ is not installed|does not verify|signature (?:verification|check)\S* (?:has )?failed|BAD signature|could not be looked up remotely|key .{0,60}(?:is unknown|could not be (?:looked|imported))|There are no public keys|not authenticated|unauthenticated packages/i,
    0.88,
    'the package or repository is not signed by a trusted key',
    { evenAsWarning: true, unless: /module|acme/i },
  ],
  [
    'corrupt',
    /(?:archive|file|package|NAR(?: info file)?|download(?:ed)?|tarball|image|cache|entry|path|index|deb|rpm|zip)\b.{0,80}? (?:is |are |was |may be |appears to be |seems )?(?:corrupt(?:ed)?|truncated|damaged|malformed)\b|corrupt(?:ed)? (?:archive|file|package|download|tarball|input|data|cache|NAR|image)|bad archive|not in gzip format|unexpected end[- ]of[- ](?:file|archive|input|stream)|Unexpected EOF in archive|unexpected EOF\b|invalid (?:gzip|tar|compressed|magic|zstd|xz)[\w ]*(?:header|data|magic|input|--)|(?:File format|format) not recogni[sz]ed|invalid tar magic|does not look like a tar archive|Error is not recoverable|(?:lzma|xz|zstd|gzip|bzip2|zlib|brotli)\b.{0,60}(?:corrupt|decod|data error|error|truncat)|failed to (?:decompress|unpack|extract)|error (?:while )?(?:decompressing|unpacking|extracting)|cannot (?:decompress|copy extracted data)|dpkg-deb: error|End-of-central-directory signature not found|failed extraction|premature end/i,
    0.8,
    'a download is damaged or cut off',
    {
      unless:
        /syntax error|GPT|partition|SQLite|No space left|builder for|superblock|boot sector|curl|sftp|EXT4|Nix daemon|db\.sqlite|nix-daemon: |unpackPhase/i,
    },
  ],
  [
    'cache-settings',
    /binary cache .{0,80}(?:is for Nix stores with prefix|is disabled|not trusted)|substituter .{0,80}(?:disabled|is not trusted|not a valid|ignor)|does not appear to be a binary cache|is not a binary cache|(?:public|secret) key .{0,40}(?:is not valid|corrupt)|invalid character in Base64/i,
    0.75,
    'the binary cache cannot be used as it is set up',
  ],
  [
    'contents-modified',
    /contents (?:have )?(?:been |were )?modified|path '[^']*' (?:was modified|is corrupt)|expected hash '[^']*', got|specified: +sha\d+|NAR (?:hash|size) .{0,60}(?:differ|mismatch|expected)/i,
    0.85,
    'a store path is not what its hash says',
  ],
]);
