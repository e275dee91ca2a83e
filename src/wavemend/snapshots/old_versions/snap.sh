# Say of each snap whether snapd keeps that revision on the host, where its revert takes it from: it
# keeps the one before at least. Arguments: name, architecture and revision, three per snap. Prints
# `yes` or `no` for each, in their order. Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin:/snap/bin" LC_ALL=C.UTF-8 LANGUAGE=

kept() {
  snap list --all --color=never --unicode=never "$1" </dev/null 2>/dev/null |
    awk -v name="$1" -v revision="$3" '$1 == name && $3 == revision { found = 1 } END { exit !found }'
}

while [ "$#" -ge 3 ]; do
  if kept "$@"; then echo yes; else echo no; fi
  shift 3
done
