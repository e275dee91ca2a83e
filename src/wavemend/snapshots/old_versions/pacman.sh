# Say of each package whether that version lies in pacman's cache, where its undo takes it from: a
# repository has the newest version only. Arguments: name, architecture and version, three per
# package. Prints `yes` or `no` for each, in their order. Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=

in_cache() {
  for folder in $caches; do
    for file in "$folder/$1-$3-$2".pkg.tar*; do
      case $file in *.sig) continue ;; esac
      [ ! -s "$file" ] || return 0
    done
  done
  return 1
}

caches=$(pacman-conf CacheDir 2>/dev/null) || caches=/var/cache/pacman/pkg/
while [ "$#" -ge 3 ]; do
  if in_cache "$@"; then echo yes; else echo no; fi
  shift 3
done
