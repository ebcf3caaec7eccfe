# A guest of a hypervisor, which talks to it through the guest agent.
{ ... }:
{
  networking.hostName = "vm";
  services.qemuGuest.enable = true;
}
