#!/bin/sh
# Debian packages that the demo and the tests use. As root they are installed; otherwise one
# sentence says what is missing and what follows. Never fails: what cannot be had is skipped
# later, with the reason.
#
#   tools/system_packages.sh demo|test|ci
#
# `ci` takes servers (sshd, PostgreSQL) and other families' tools too, for tests against the real
# ones; none is started.
set -eu
wanted= more=
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
need() { has "$1" || wanted="$wanted $2"; } # need PROGRAM PACKAGE
like() { has "$1" || more="$more $2"; }     # the same, apart: one of them may not be to be had
need ssh-keygen openssh-client
need ip iproute2
need unshare util-linux
need debootstrap debootstrap
[ "$(id -u)" = 0 ] || need newuidmap uidmap
if [ "${1:-demo}" = ci ]; then
  need sshd openssh-server
  need sudo sudo
  like doas opendoas
  # The shell and small tools of Alpine hosts; package managers and restore points that run here.
  like busybox busybox
  like pacman pacman-package-manager
  like vercmp makepkg
  like rpmbuild rpm
  like flatpak flatpak
  like ostree ostree
  like virsh libvirt-clients
  # Its test driver: hosts that exist only in memory. No daemon is started.
  like libvirtd libvirt-daemon
  like snapper snapper
  like mkfs.btrfs btrfs-progs
  like lvs lvm2
  # rpm itself says whether our order of versions is its order.
  /usr/bin/python3 -c 'import rpm' >/dev/null 2>&1 || wanted="$wanted python3-rpm"
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$wanted postgresql"
fi
[ -n "$wanted$more" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Missing here:$wanted$more. Without them the fleet is simulated or some tests are skipped;" \
    "as root: apt-get install$wanted$more" >&2
  exit 0
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  # Installing a server must not start it.
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
install() { # install PACKAGE…
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >/dev/null 2>&1 </dev/null || echo "apt-get could not install: $*" >&2
}
echo "Installing Debian packages:$wanted$more" >&2
apt-get update -qq >/dev/null 2>&1 </dev/null || echo "apt-get update failed" >&2
# shellcheck disable=SC2086 # words, one package each
[ -z "$wanted" ] || install $wanted
for package in $more; do install "$package"; done
