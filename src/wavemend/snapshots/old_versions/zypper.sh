# Say of each package whether a repository offers that version. Arguments: name, architecture and
# version, three per package. Prints `yes` or `no` for each, in their order. Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=

each() {
  do=$1
  shift
  while [ "$#" -ge 3 ]; do "$do" "$1" "$2" "$3"; shift 3; done
}
name() { printf '%s\n' "$1"; }
answer() {
  wanted="$1|${3#0:}|$2"
  if printf '%s\n' "$offered" | grep -qxF "$wanted"; then echo yes; else echo no; fi
}

set -f
# 104 says that nothing of these names is known: then none can be had.
listed=$(zypper -n -q --no-refresh search -s -x -t package -- $(each name "$@") </dev/null)
rc=$?
[ "$rc" -eq 0 ] || [ "$rc" -eq 104 ] || exit "$rc"
# Status | Name | Type | Version | Arch | Repository. What only the host itself has is no offer.
offered=$(printf '%s\n' "$listed" | grep -vF '(System Packages)' |
  sed -n 's/^[^|]*| *\([^| ]*\) *|[^|]*| *\([^| ]*\) *| *\([^| ]*\) *|.*$/\1|\2|\3/p')
each answer "$@"
