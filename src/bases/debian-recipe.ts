import { createHash } from 'node:crypto';

/** Everything that decides what the Debian base holds. A change of any of it is a new base. */
export interface DebianRecipe {
  /** Counts up where the way of building changes the result. */
  readonly version: number;
  readonly suite: string;
  readonly packages: readonly string[];
  /** Path patterns that packages do not get to install. */
  readonly withoutPaths: readonly string[];
  /** Absolute path in the guest → content. */
  readonly files: Readonly<Record<string, string>>;
  readonly enable: readonly string[];
  /** There for an installer that copies this system and enables them per profile. */
  readonly disable: readonly string[];
  /** Slow, or of no use in a system that lives for an hour. */
  readonly mask: readonly string[];
  readonly diskBytes: number;
  readonly commandLine: string;
}

const HOST_KEY = '/etc/ssh/ssh_host_ed25519_key';

export const DEBIAN_RECIPE: DebianRecipe = {
  version: 1,
  suite: 'bookworm',
  packages: [
    ...['systemd', 'systemd-sysv', 'udev', 'dbus', 'kmod', 'mount', 'procps', 'iproute2', 'sudo'],
    ...['linux-image-cloud-amd64', 'initramfs-tools', 'zstd'],
    ...['openssh-server', 'nix-bin', 'ca-certificates', 'curl', 'rsync', 'xz-utils', 'busybox-static'],
    ...['gdisk', 'fdisk', 'parted', 'btrfs-progs', 'dosfstools', 'e2fsprogs'],
    ...['grub-efi-amd64-bin', 'grub-pc-bin', 'grub2-common', 'efibootmgr'],
    // fail2ban reads the journal through python3-systemd; greetd is a display manager that needs no X.
    ...['qemu-guest-agent', 'fail2ban', 'python3-systemd', 'greetd'],
  ],
  withoutPaths: ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*'],
  files: {
    '/etc/hostname': 'nixproof\n',
    '/etc/hosts': '127.0.0.1 localhost nixproof\n::1 localhost\n',
    // The name server of QEMU's user-mode network.
    '/etc/resolv.conf': 'nameserver 10.0.2.3\n',
    '/etc/fstab': '/dev/vda / ext4 defaults,noatime 0 0\n',
    '/etc/systemd/network/80-dhcp.network': `[Match]
Type=ether
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
UseDNS=no
`,
    '/etc/ssh/sshd_config.d/10-nixproof.conf': `HostKey ${HOST_KEY}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
`,
    // Made at the first boot and not in the image: no two templates share a key. RSA would take a minute under emulation.
    '/etc/systemd/system/ssh.service.d/host-key.conf': `[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -s ${HOST_KEY} || ssh-keygen -q -t ed25519 -N "" -C "" -f ${HOST_KEY}'
ExecStartPre=/usr/sbin/sshd -t
`,
    // The way in when the network is dead: a root shell on the virtio console, where systemd would ask for a login. No memory
    // hog takes it along, and however often it ends it comes back.
    '/etc/systemd/system/serial-getty@hvc0.service.d/nixproof.conf': `[Unit]
StartLimitIntervalSec=0
[Service]
Type=simple
ExecStart=
ExecStart=/bin/sh
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
WorkingDirectory=/root
Environment=HOME=/root TERM=dumb
OOMScoreAdjust=-1000
`,
    // systemd looks for consoles before the driver of this one is loaded.
    '/etc/udev/rules.d/60-nixproof-console.rules':
      'SUBSYSTEM=="tty", KERNEL=="hvc0", TAG+="systemd", ENV{SYSTEMD_WANTS}+="serial-getty@hvc0.service"\n',
    '/etc/systemd/journald.conf.d/nixproof.conf': '[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n',
    '/etc/nix/nix.conf': `experimental-features = nix-command flakes
sandbox = false
substituters =
build-users-group =
`,
    '/etc/fail2ban/jail.d/nixproof.conf': '[DEFAULT]\nbackend = systemd\n',
    // The package's rule starts the agent wherever its port is; here it is `systemctl enable` that decides.
    '/etc/udev/rules.d/60-qemu-guest-agent.rules':
      'SUBSYSTEM=="virtio-ports", ATTR{name}=="org.qemu.guest_agent.0", TAG+="systemd"\n',
    '/etc/systemd/system/qemu-guest-agent.service.d/install.conf': '[Install]\nWantedBy=multi-user.target\n',
    // Empty, not absent: a new identity at every boot from this image, without systemd's first-boot presets.
    '/etc/machine-id': '',
  },
  enable: ['ssh.service', 'systemd-networkd.service'],
  disable: ['fail2ban.service', 'greetd.service'],
  mask: [
    ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'fstrim.timer'],
    ...['e2scrub_all.timer', 'e2scrub_reap.service', 'systemd-networkd-wait-online.service'],
  ],
  diskBytes: 8 * 1024 ** 3,
  commandLine: 'root=/dev/vda rw console=ttyS0,115200 mitigations=off tsc=reliable',
};

/** Names a recipe by its content: 16 hexadecimal digits. */
export function fingerprintOf(recipe: DebianRecipe): string {
  return createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 16);
}

/** The shell script that mmdebstrap runs with the new system's root folder as its argument. */
export function customizeScript(recipe: DebianRecipe): string {
  const files = Object.entries(recipe.files).map(
    ([file, content]) =>
      `mkdir -p "$1${file.slice(0, file.lastIndexOf('/'))}"\ncat > "$1${file}" <<'END-OF-FILE'\n${content}END-OF-FILE`,
  );
  return [
    'set -eu',
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/var/lib/dbus/machine-id',
    ...files,
    'mkdir -p "$1/nix/store" "$1/nix/var/nix"',
    `chroot "$1" systemctl enable ${recipe.enable.join(' ')}`,
    `chroot "$1" systemctl disable ${recipe.disable.join(' ')}`,
    `chroot "$1" systemctl mask ${recipe.mask.join(' ')}`,
    'chroot "$1" systemctl set-default multi-user.target',
  ].join('\n');
}

/** mmdebstrap's arguments for a recipe (mmdebstrap(1)). `mirror`: undefined leaves the choice to mmdebstrap. */
export function mmdebstrapArguments(recipe: DebianRecipe, target: string, mirror: string | undefined): string[] {
  return [
    '--variant=minbase',
    '--format=tar',
    '--components=main',
    // It would write over the machine-id.
    '--skip=cleanup/reproducible',
    `--include=${recipe.packages.join(',')}`,
    ...recipe.withoutPaths.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    '--aptopt=Apt::Install-Recommends "false"',
    `--customize-hook=${customizeScript(recipe)}`,
    recipe.suite,
    target,
    ...(mirror === undefined ? [] : [`deb ${mirror} ${recipe.suite} main`]),
  ];
}
