# Say for each item whether its older version can still be brought back: comes after words.sh.
# Reads only. Arguments: <codes that mean yes>, then for each item what `first` takes.
# Answer: one line `yes` or `no` for each.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
cd / || exit 1
yes=$1
shift
while [ $# -gt 0 ]; do
  first "$@" </dev/null >/dev/null 2>&1
  case " $yes " in *" $? "*) echo yes ;; *) echo no ;; esac
  shift $((3 + $3))
done
