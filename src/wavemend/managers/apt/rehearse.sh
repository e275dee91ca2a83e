# Say what apt-get would do, and do nothing. Arguments: <nonce>, then apt-get's own arguments.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8
export DEBIAN_FRONTEND=noninteractive
N=$1
shift
cd / || exit 1
printf '\n%s begin rehearsal\n' "$N"
{ errors=$(apt-get "$@" 2>&1 >&3 3>&- </dev/null); } 3>&1
rc=$?
printf '\n%s errors rehearsal\n%s\n%s end rehearsal %s\n' "$N" "$errors" "$N" "$rc"
printf '\n%s begin end\n\n%s errors end\n\n%s end end 0\n' "$N" "$N" "$N"
