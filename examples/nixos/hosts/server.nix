# A machine on the internet: fail2ban, and no display manager.
{ ... }:
{
  networking.hostName = "server";

  services.fail2ban = {
    enable = true;
    maxretry = 5;
    bantime = "1h";
  };
}
