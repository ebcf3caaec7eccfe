# Where things are on the disk image, for install.sh and inspect.sh. Sizes in sectors of 512 bytes.
set -eu
PATH=$PATH:/usr/sbin:/sbin
# Checks run after the installer's environment has gone.
disk=${NIXPROOF_DISK:-$NIXPROOF_ROOT/dev/vdb}
boot_start=2048 boot_sectors=32768
root_start=34816 root_sectors=161792
root_image="$disk?offset=$((root_start * 512))"
