import type { Installation } from '../domain/profile.js';
import { quote } from '../machines/quote.js';
import { flakeWord } from './deployed-flake.js';

/** The shell script of `kind: nix-check`: builds one output of the flake, such as a NixOS test among its checks, and logs as JSON. */
export function nixCheck(install: Extract<Installation, { kind: 'nix-check' }>): string {
  return `set -eu
export NIX_CONFIG="extra-experimental-features = nix-command flakes
\${NIX_CONFIG:-}"
nixproof-phase NIX_CHECK
nix build ${flakeWord(install.flake)} --no-link --no-write-lock-file --log-format internal-json -v
printf '::SUCCESS::%s\\n' ${quote([`built ${install.flake}`])}
`;
}
