#!/bin/sh
# Looks at the installed disk image: inspect.sh partitions | filesystem | read FILE | files
cd "$(dirname "$0")"
. ./layout.sh
# debugfs begins with its version on standard error; the rest of it says why a request failed.
ask() { { debugfs -R "$1" "$root_image" 2>&1 >&3 3>&- | grep -v '^debugfs [0-9]' >&2 || :; } 3>&1; }
show() { ask "cat $1"; }
case $1 in
  # The types of the first two entries of the partition table.
  partitions) echo $(od -An -tx1 -j450 -N1 "$disk") $(od -An -tx1 -j466 -N1 "$disk") ;;
  filesystem) ask 'show_super_stats -h' | sed -n 's/^Filesystem state: *//p' ;;
  read) show "$2" ;;
  files)
    count=0
    show /etc/sums | { while read -r sum file; do
      [ "$(show "/$file" | sha256sum | cut -d' ' -f1)" = "$sum" ] || { echo "$file differs"; exit 1; }
      count=$((count + 1))
    done; echo "$count files intact"; } ;;
esac
