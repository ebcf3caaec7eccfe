# The account you work with. Put your own name and public key here.
{ ... }:
{
  users.users.alice = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    openssh.authorizedKeys.keys = [
      # "ssh-ed25519 AAAA… you@laptop"
    ];
  };

  security.sudo.wheelNeedsPassword = false;
}
