# Say what apt-get would do and how large it is, and do nothing. Arguments: <nonce>, then apt-get's
# own arguments.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
export DEBIAN_FRONTEND=noninteractive
N=$1
shift
cd / || exit 1

framed() {
  name=$1
  shift
  printf '\n%s begin %s\n' "$N" "$name"
  { errors=$("$@" 2>&1 >&3 3>&- </dev/null); } 3>&1
  rc=$?
  printf '\n%s errors %s\n%s\n%s end %s %s\n' "$N" "$name" "$errors" "$N" "$name" "$rc"
}

framed rehearsal apt-get -s "$@"
# A simulation prints no sizes; this needs no lock either, and fetches nothing.
[ "$rc" -ne 0 ] || framed sizes apt-get --print-uris "$@"
printf '\n%s begin end\n\n%s errors end\n\n%s end end 0\n' "$N" "$N" "$N"
