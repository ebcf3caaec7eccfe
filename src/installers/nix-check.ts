import type { Installation } from '../domain/profile.js';
import { quote } from '../machines/quote.js';

/**
 * The shell script of `kind: nix-check`: builds one output of the flake, such as a NixOS test among its checks, and logs as
 * JSON. A flake of the deployed folder is named by its path: below somebody else's Git repository `.` would mean that one.
 */
export function nixCheck(install: Extract<Installation, { kind: 'nix-check' }>): string {
  const at = install.flake.indexOf('#');
  const flake = install.flake.slice(0, at);
  const output = install.flake.slice(at);
  const isDeployed = flake === '' || flake === '.' || flake.startsWith('./');
  const reference = isDeployed ? `"path:$PWD"${quote([flake.slice(1) + output])}` : quote([install.flake]);
  return `set -eu
export NIX_CONFIG="extra-experimental-features = nix-command flakes
\${NIX_CONFIG:-}"
nixproof-phase NIX_CHECK
nix build ${reference} --no-link --no-write-lock-file --log-format internal-json -v
printf '::SUCCESS::%s\\n' ${quote([`built ${install.flake}`])}
`;
}
