# Bring flatpaks to exact commits, newer or older ones. Arguments: reference, commit of each.
# Ends with flatpak's status at the first that fails. Runs detached: no terminal, no stdin.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
cd / || exit 1
while [ $# -ge 2 ]; do
  # Related references are targets of their own; nothing else may come along.
  flatpak --system update -y --noninteractive --no-related --no-deps --commit="$2" "$1" </dev/null || exit
  shift 2
done
