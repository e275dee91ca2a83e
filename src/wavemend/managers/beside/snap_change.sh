# Bring snaps to exact revisions. Arguments: refresh|revert, then name, revision of each.
# Ends with snap's status at the first that fails, or 71 = another revision is offered than was
# planned. Runs detached: no terminal, no stdin.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin:/snap/bin" LC_ALL=C.UTF-8 LANGUAGE=
cd / || exit 1
direction=$1
shift
while [ $# -ge 2 ]; do
  if [ "$direction" = revert ]; then
    snap revert "$1" --revision="$2" </dev/null || exit
  else
    # Only a snap's own publisher may name a revision: what the channel offers must be the planned.
    offered=$(snap refresh --list --color=never --unicode=never </dev/null | awk -v name="$1" '$1 == name { print $3 }')
    [ "$offered" = "$2" ] || { echo "error: $1: revision $2 was planned, ${offered:-none} is offered"; exit 71; }
    snap refresh "$1" </dev/null || exit
  fi
  shift 2
done
