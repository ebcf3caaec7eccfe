# GPT: an EFI system partition, the rest btrfs with a subvolume for each thing that is kept or thrown away by itself.
{ lib, ... }:
{
  disko.devices.disk.main = {
    type = "disk";
    # The first disk of a virtual machine; a host with other hardware sets its own, best by /dev/disk/by-id/….
    device = lib.mkDefault "/dev/vda";
    content = {
      type = "gpt";
      partitions = {
        ESP = {
          size = "512M";
          type = "EF00";
          content = {
            type = "filesystem";
            format = "vfat";
            mountpoint = "/boot";
            mountOptions = [ "umask=0077" ];
          };
        };
        root = {
          size = "100%";
          content = {
            type = "btrfs";
            extraArgs = [ "-f" ];
            subvolumes = {
              "@" = {
                mountpoint = "/";
                mountOptions = [
                  "compress=zstd"
                  "noatime"
                ];
              };
              "@home" = {
                mountpoint = "/home";
                mountOptions = [ "compress=zstd" ];
              };
              "@nix" = {
                mountpoint = "/nix";
                mountOptions = [
                  "compress=zstd"
                  "noatime"
                ];
              };
              "@log" = {
                mountpoint = "/var/log";
                mountOptions = [ "noatime" ];
              };
            };
          };
        };
      };
    };
  };

  # The journal is written before the rest of /var is mounted.
  fileSystems."/var/log".neededForBoot = true;
}
