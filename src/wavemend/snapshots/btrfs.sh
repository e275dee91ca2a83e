# Restore points of one btrfs subvolume. Arguments: create|list|remove|restore <mount point> <name>.
#
# The points lie at the top of the file system, outside every subvolume: one that is put in another's
# place must not take them out of sight.
# Exit status: 0 = done; 65 = the mount point is no subvolume that can be exchanged; 66 = it was
# exchanged for this point already; 67 = the host runs from what is to be removed; anything else =
# a command's own.
set -eu
umask 077
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
verb=$1 point=$2 name=$3

device=$(findmnt -nvo SOURCE -M "$point")
root=$(findmnt -nvo FSROOT -M "$point")
top=$(mktemp -d)
trap 'umount "$top" 2>/dev/null; rmdir "$top"' EXIT
trap 'exit 1' HUP INT TERM
mount -t btrfs -o subvolid=5 "$device" "$top"
points="$top/wavemend-points"
is_subvolume() { btrfs subvolume show "$1" >/dev/null 2>&1; }
# Where btrfs cannot tell, nothing would seem to be a subvolume, and nothing to be there.
btrfs subvolume list -o "$top" >/dev/null

# What lies in a subvolume inside of this one is not in its snapshot: its folder would be empty.
can_be_exchanged() {
  [ "$root" != / ] || { echo "$point is the top of its file system" >&2; exit 65; }
  inside=$(btrfs subvolume list -o "$point" | sed 's/^ID .* top level [0-9]* path //')
  printf '%s\n' "$inside" | while IFS= read -r each; do
    [ -z "$each" ] || [ -z "$(ls -A "$top/$each")" ] ||
      { echo "$each is a subvolume inside of $point and would be empty" >&2; exit 65; }
  done
}

case $verb in
  create)
    can_be_exchanged
    mkdir -p "$points"
    btrfs subvolume snapshot -r "$point" "$points/$name" >/dev/null
    sync -f "$points" 2>/dev/null || sync
    ;;
  list)
    for each in "$points"/wavemend-*; do
      if is_subvolume "$each"; then printf '%s\n' "${each##*/}"; fi
    done
    ;;
  remove)
    if [ "$root" = "/wavemend-points/replaced-$name" ]; then
      echo "$point was exchanged for $name and runs from what it replaced until a restart" >&2
      exit 67
    fi
    for each in "$points/$name" "$points/replaced-$name"; do
      if is_subvolume "$each"; then btrfs subvolume delete --commit-after "$each" >/dev/null; fi
    done
    ;;
  restore)
    old="$points/replaced-$name" new="$points/new-$name"
    if is_subvolume "$old"; then echo "$point was exchanged for $name already"; exit 66; fi
    can_be_exchanged
    # All that can fail comes before the two renames; only a power cut between them does harm.
    if is_subvolume "$new"; then btrfs subvolume delete "$new"; fi
    btrfs subvolume snapshot "$points/$name" "$new"
    # Some hosts boot the file system's default subvolume, by its number and not by its name.
    default=$(btrfs subvolume get-default "$top" | cut -d ' ' -f 2)
    if [ "$default" = "$(btrfs inspect-internal rootid "$point")" ]; then
      btrfs subvolume set-default "$(btrfs inspect-internal rootid "$new")" "$top"
    fi
    sync -f "$points" 2>/dev/null || sync
    mv "$top$root" "$old"
    mv "$new" "$top$root"
    sync -f "$points" 2>/dev/null || sync
    ;;
  *) exit 80 ;;
esac
