# Say of each package whether a repository offers that version. Arguments: name, architecture and
# version, three per package. Prints `yes` or `no` for each, in their order. Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=

each() {
  do=$1
  shift
  while [ "$#" -ge 3 ]; do "$do" "$1" "$2" "$3"; shift 3; done
}
epoch() { case $1 in *:*) printf '%s' "$1" ;; *) printf '0:%s' "$1" ;; esac; }
name() { printf '%s\n' "$1"; }
answer() {
  wanted="$1 $2 $(epoch "$3")"
  if printf '%s\n' "$offered" | grep -qxF "$wanted"; then echo yes; else echo no; fi
}

tool=dnf
command -v dnf >/dev/null || tool=repoquery # yum-utils, where there is yum alone
form='%{name} %{arch} %{epoch}:%{version}-%{release}\n'
set -f
# Every version of these packages: one question, whatever their number.
if [ "$tool" = dnf ]; then
  offered=$(dnf -q repoquery --available --qf "$form" $(each name "$@") </dev/null) || exit
else
  offered=$(repoquery --show-duplicates --qf "${form%\\n}" $(each name "$@") </dev/null) || exit
fi
each answer "$@"
