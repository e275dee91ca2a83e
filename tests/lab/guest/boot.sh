#!/bin/sh
# Turn fresh mount, PID, UTS, IPC (and time) namespaces into one host, and become its PID 1:
# boot.sh ROOT NAME BOOT_ID_FILE PID_FILE PROFILE [CGROUP]
set -eu
root=$1 name=$2 boot_id=$3 pid_file=$4 profile=$5

# systemd gets a control group of its own and sees nothing above it. The namespace begins at the
# group of the process that makes it, so the group is joined first.
if [ "$profile" = systemd ] && [ -z "${in_own_group-}" ]; then
    echo 0 >"$6/cgroup.procs"
    in_own_group=yes exec unshare --cgroup sh "$0" "$@"
fi

# /proc is still the supervisor's: this is our own process number as the supervisor sees it.
read -r pid _ </proc/self/stat
echo "$pid" >"$pid_file"
hostname "$name"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"

# Filesystems of the host's own; they begin with what its disk has in that place.
while read -r path options; do
    mkdir -p "$root$path" "$root/run/.new"
    mount -t tmpfs -o "$options" tmpfs "$root/run/.new"
    cp -a "$root$path/." "$root/run/.new"
    mount --move "$root/run/.new" "$root$path"
done <"${pid_file%/*}/mounts"

mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

# The kernel is the machine's: a host must neither tune it nor press its reset button.
[ ! -e "$root/proc/sysrq-trigger" ] || mount --bind /dev/null "$root/proc/sysrq-trigger"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --bind "$boot_id" "$root/proc/sys/kernel/random/boot_id"

if [ "$profile" = systemd ]; then
    init=/sbin/init
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
else
    init=/usr/lib/wavemend-lab/init
fi

mkdir "$root/run/.old"
cd "$root"
pivot_root . run/.old
cd /
umount -l /run/.old
rmdir /run/.old
# Reboot stays; what would reach the machine itself (clock, modules, memory) goes.
exec env -i container=wavemend-lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set -sys_module,-sys_rawio,-sys_time,-syslog "$init"
