import { rulesOf, type Rule } from './rule.js';

export const NIX_BUILD: readonly Rule[] = rulesOf('nix.build', [
  [
    'builder',
    /builder for '(?<derivation>[^']+)' failed|Cannot build '(?<derivation2>[^']+)'|Reason: (?:builder failed|\d+ dependenc)|builder failed with exit code|build of '[^']+'(?:, '[^']+')* (?:on '[^']+' )?failed|build of resolved derivation|failed to produce output path|(?:Build|build) (?:hook|failed)(?: due to failed dependency)?/i,
    0.82,
    'a derivation did not build: {derivation}{derivation2}',
    { loweredBy: /hash mismatch/i },
  ],
  [
    'dependency',
    /dependenc(?:y|ies) of derivation .{0,160}failed to build|(?<!\d)\d{1,12} dependenc(?:y|ies) (?:couldn't be built|failed)|cannot build derivation|some (?:derivations|outputs|substitutes) .{0,80}(?:failed|not valid)|build of .{0,160}\.drv\S* failed|\.drv'? failed/i,
    0.75,
    'a derivation did not build because another did not',
  ],
  [
    'platform',
    /is required to build .{0,200}(?:but I am|I am a)|(?:required|requires) (?:system|platform).{0,60}(?:feature|not available)|Required (?:system|features?)|Failed to find a machine for remote build|unable to start any build|cannot build on ['"‘]/i,
    0.84,
    'the derivation needs another platform or builder',
  ],
  [
    'compiler',
    /(?:^|\s)(?:\S+:\d+(?::\d+)?: )(?:fatal )?error: |undefined reference to|collect2: error|ld(?:\.\w+)?: (?:cannot find|error|fatal)|error: could not compile|error\[E\d{4}\]|compilation terminated|fatal error: \S+: No such file|linker command failed|ld returned \d+ exit|cannot find -l\w+|implicit declaration of function|incompatible pointer type|SyntaxError: |ModuleNotFoundError|error: linking with|cargo(?: build)? failed/i,
    0.76,
    'a program did not compile',
    { unless: /\.nix:\d|nixos-install-tools|kexec/i },
  ],
  [
    'make',
    /make: \*\*\* |^\*\*\* |\*\*\* \[\S+|ninja: (?:build stopped|error)|CMake Error|configure: error|meson\.build:\d+:\d+: ERROR|npm ERR!|(?<!\d)\d{1,12} out of \d+ hunks? FAILED|Hunk #\d+ FAILED|error: patch failed|can't find file to patch|go: (?:inconsistent vendoring|.{0,60}build failed)|ERROR: Could not build wheels|(?:checkPhase|buildPhase|installPhase|unpackPhase|configurePhase|patchPhase|fixupPhase)\b.{0,80}(?:failed|error)|dpkg-buildpackage: error|rpmbuild.{0,40}error|BUILD FAILED|==> ERROR: A failure occurred in build/i,
    0.78,
    'a step of a build failed',
  ],
  [
    'output',
    /is not allowed to refer to (?:the following|path|a)|two given paths contain a conflicting subpath|collision between [`'‘]|output .{0,100}(?:forbidden references|has references)|may not be deterministic|builtin:(?:buildenv|fetchurl).{0,60}(?:fail|error)|(?:files|packages) .{0,80}(?:have|has) (?:the same priority|conflict)|error: (?:unable|failed) to build/i,
    0.82,
    'the outputs of a build cannot be put together',
  ],
  [
    'derivation',
    /error: .{0,40}\bderivation\b(?! .{0,100}(?:evaluat|attribute)).{0,160}|error: (?:building|build of|build) /i,
    0.6,
    'something is wrong with a derivation',
  ],
  [
    'silence',
    /timed out after \d+ seconds of silence|killed after \d+ seconds of silence|log (?:limit|exceeded)|produced more than \d+ bytes/i,
    0.86,
    'a build was stopped: silent for too long, or too loud',
  ],
]);
