# What all hosts have in common.
{ ... }:
{
  nixpkgs.hostPlatform = "x86_64-linux";

  boot = {
    loader.systemd-boot.enable = true;
    # systemd-boot also stands where firmware looks without being told, so nothing has to be written to NVRAM.
    loader.efi.canTouchEfiVariables = false;
    # Every host is tested in a virtual machine, so every initrd finds a virtual disk.
    initrd.availableKernelModules = [
      "ahci"
      "nvme"
      "sd_mod"
      "usb_storage"
      "virtio_blk"
      "virtio_pci"
      "virtio_scsi"
      "xhci_pci"
    ];
    # The last console named is the one that boot messages go to: nixproof keeps the serial one.
    kernelParams = [
      "console=tty0"
      "console=ttyS0,115200"
    ];
  };

  services.openssh = {
    enable = true;
    settings = {
      PasswordAuthentication = false;
      PermitRootLogin = "prohibit-password";
    };
  };

  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];

  time.timeZone = "Etc/UTC";
  system.stateVersion = "25.11";
}
