# A machine somebody sits at: a display manager and a desktop.
{ ... }:
{
  networking.hostName = "workstation";
  networking.networkmanager.enable = true;

  services.xserver = {
    enable = true;
    displayManager.lightdm.enable = true;
    desktopManager.xfce.enable = true;
  };
}
