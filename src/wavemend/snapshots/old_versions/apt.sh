# Say of each package whether apt-get could install that version. Arguments: name, architecture and
# version, three per package. Prints `yes` or `no` for each, in their order. Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE= DEBIAN_FRONTEND=noninteractive

each() {
  do=$1
  shift
  while [ "$#" -ge 3 ]; do "$do" "$1" "$2" "$3"; shift 3; done
}
word() { printf '%s:%s=%s\n' "$1" "$2" "$3"; }
simulate() {
  apt-get -s -q -y -o Debug::NoLocking=true -o APT::Color=0 --reinstall --allow-downgrades \
    --allow-change-held-packages install -- "$@" </dev/null 2>/dev/null
}
# Its exit status says nothing: a version that is installed and offered by nobody is a success too.
# Only what it would unpack can be had.
answer() {
  out=$together
  [ -n "$out" ] || out=$(simulate "$(word "$@")") || out=
  found=$(printf '%s\n' "$out" | grep -F -e "Inst $1 " -e "Inst $1:$2 " | grep -F "($3 ")
  if [ -n "$found" ]; then echo yes; else echo no; fi
}

set -f
words=$(each word "$@")
# All at once is quick; it fails as a whole when one version is unknown.
together=$(simulate $words) || together=
each answer "$@"
