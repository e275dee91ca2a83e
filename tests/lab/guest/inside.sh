#!/bin/sh
# Run a command in a root folder that is not a running host: inside.sh ROOT BIND COMMAND...
# BIND ("-" for none) appears as /mnt. Called in fresh mount and PID namespaces, so whatever the
# command leaves behind (mounts, a gpg-agent) ends with it.
set -eu
root=$1 bind=$2
shift 2
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
[ "$bind" = - ] || mount --bind "$bind" "$root/mnt"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    chroot "$root" "$@"
