# Bring packages to exact versions: comes after rpm/changing.sh.
# Arguments: <newer|older> <name.arch=version>...
# The exit status is zypper's. Exact packages, never `patch`: that leaves out patches which ask for
# a reboot, and ends with 0. The index is the one of the rehearsal.
export ZYPP_LOCK_TIMEOUT=$LOCK_SECONDS
older=
[ "$1" != older ] || older=--oldpackage
shift
change zypper -n --no-refresh install --no-recommends --no-force-resolution $older --name -- "$@"
