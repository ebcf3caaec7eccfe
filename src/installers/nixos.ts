import type { Installation } from '../domain/profile.js';
import { quote } from '../machines/quote.js';

/** A flake reference split at its `#`: `.#vm` is the configuration `vm` of the flake in the working folder. */
export function splitFlakeReference(reference: string): { readonly flake: string; readonly configuration: string } {
  const at = reference.indexOf('#');
  return { flake: reference.slice(0, at) || '.', configuration: reference.slice(at + 1) };
}

/**
 * The shell script that `kind: nixos` runs in the guest: disko, the build of the system into the target's store, then
 * nixos-install of what was built, each a phase. The build is a step of its own because `nixos-install` cannot be told to
 * log as JSON (nixos-install.sh passes only a fixed set of flags on); the store and substituter options are the ones it
 * uses itself.
 */
export function nixosInstaller(install: Extract<Installation, { kind: 'nixos' }>): string {
  const { flake, configuration } = splitFlakeReference(install.flake);
  const toplevel = `${flake}#nixosConfigurations."${configuration}".config.system.build.toplevel`;
  return `set -eu
export NIX_CONFIG="extra-experimental-features = nix-command flakes
\${NIX_CONFIG:-}"
${install.disko ? diskoPhase(install.flake) : ''}
nixproof-phase NIX_BUILD
link=$(mktemp -d)/system
nix build ${quote([toplevel])} --store /mnt --extra-substituters 'auto?trusted=1' \\
  --out-link "$link" --no-write-lock-file --log-format internal-json -v
system=$(readlink "$link")
printf '::CONTEXT::built %s\\n' "$system"

nixproof-phase NIXOS_INSTALL
nixos-install --root /mnt --system "$system" --no-root-password --no-channel-copy
printf '::SUCCESS::%s\\n' ${quote([`nixos-install of ${configuration}`])}
`;
}

/** The ISO does not ship disko: where it is not on the PATH, Nix fetches it as its manual says (github:nix-community/disko). */
function diskoPhase(reference: string): string {
  return `nixproof-phase DISK_PARTITIONING
if command -v disko >/dev/null; then
  disko --mode disko --flake ${quote([reference])}
else
  nix run github:nix-community/disko/latest -- --mode disko --flake ${quote([reference])}
fi`;
}
