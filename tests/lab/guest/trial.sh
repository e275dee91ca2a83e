#!/bin/sh
# Try once what every host needs from the kernel; the last line printed names what is refused.
# trial.sh FOLDER OVERLAY_OPTION
attempt() {
    what=$1
    shift
    out=$("$@" 2>&1) || {
        echo "$what: $out" | tr '\n' ' '
        exit 1
    }
}
cd "$1" || exit 1
attempt "mounting a tmpfs" mount -t tmpfs tmpfs "$1"
cd "$1" || exit 1
mkdir lower upper work root
attempt "mounting an overlay" \
    mount -t overlay -o "lowerdir=lower,upperdir=upper,workdir=work,$2" overlay root
mkdir root/proc root/sys
attempt "mounting /proc" mount -t proc proc root/proc
attempt "mounting /sys" mount -t sysfs -o ro sysfs root/sys
attempt "changing the owner of a file" chown 1000:1000 lower
attempt "making a bridge" ip link add lab0 type bridge
attempt "making a cable" ip link add veth0 type veth peer name veth1
