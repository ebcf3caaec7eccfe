{
  description = "Three NixOS hosts, installed and checked by nixproof";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
    disko = {
      url = "github:nix-community/disko/latest";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { nixpkgs, disko, ... }:
    let
      host =
        name:
        nixpkgs.lib.nixosSystem {
          modules = [
            disko.nixosModules.disko
            ./disko/btrfs.nix
            ./modules/base.nix
            ./modules/user.nix
            (./hosts + "/${name}.nix")
          ];
        };
    in
    {
      nixosConfigurations = {
        vm = host "vm";
        workstation = host "workstation";
        server = host "server";
      };
    };
}
