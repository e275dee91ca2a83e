#!/bin/sh
# Debian packages that the demo and the tests use. As root they are installed; otherwise one
# sentence says what is missing and what follows. Never fails: what cannot be had is skipped
# later, with the reason.
#
#   tools/system_packages.sh demo|test|ci
#
# `ci` takes servers too (sshd, PostgreSQL) and rpm for tests against the real ones; none is started.
set -eu
wanted=
need() { # need PROGRAM PACKAGE
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || wanted="$wanted $2"
}
need ssh-keygen openssh-client
need ip iproute2
need unshare util-linux
need debootstrap debootstrap
[ "$(id -u)" = 0 ] || need newuidmap uidmap
if [ "${1:-demo}" = ci ]; then
  need sshd openssh-server
  need sudo sudo
  # rpm itself says whether our order of versions is its order.
  /usr/bin/python3 -c 'import rpm' >/dev/null 2>&1 || wanted="$wanted python3-rpm"
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$wanted postgresql"
fi
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Missing here:$wanted. Without them the fleet is simulated or some tests are skipped;" \
    "as root: apt-get install$wanted" >&2
  exit 0
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  # Installing a server must not start it.
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
echo "Installing Debian packages:$wanted" >&2
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted; } \
  >/dev/null 2>&1 </dev/null || echo "apt-get could not install:$wanted" >&2
