#!/bin/sh
# Looks at the installed disk image: inspect.sh partitions | filesystem | read FILE | files
cd "$(dirname "$0")"
. ./layout.sh
show() { debugfs -R "cat $1" "$root_image" 2>/dev/null; }
case $1 in
  # The types of the first two entries of the partition table.
  partitions) echo $(od -An -tx1 -j450 -N1 "$disk") $(od -An -tx1 -j466 -N1 "$disk") ;;
  filesystem) dumpe2fs -h "$root_image" 2>/dev/null | sed -n 's/^Filesystem state: *//p' ;;
  read) show "$2" ;;
  files)
    count=0
    show /etc/sums | { while read -r sum file; do
      [ "$(show "/$file" | sha256sum | cut -d' ' -f1)" = "$sum" ] || { echo "$file differs"; exit 1; }
      count=$((count + 1))
    done; echo "$count files intact"; } ;;
esac
