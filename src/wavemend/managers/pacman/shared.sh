# What pacman's scripts have in common: comes before each of them.
#
# The host's own sync databases are never renewed by a look: renewed without an upgrade, the next
# `pacman -S` would be a partial upgrade. What the mirrors offer is read into a copy of our own,
# beside a link to the real list of installed packages, as checkupdates(8) does.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
unset COLUMNS
R="${WAVEMEND_ROOT:-}"
cd / || exit 1
db=$(pacman-conf DBPath) && db="${db%/}"
copy="$R/var/cache/wavemend/pacman"
aside="$db/wavemend-unfinished" # entries that a repair has in hand

# Reads the installed packages and writes only the copy, under the copy's own lock.
offers() { ${limit:-} pacman --noconfirm --color never --dbpath "$copy" --logfile /dev/null "$@"; }

# Nobody but wavemend uses the copy: with our own lock in hand, a lock of pacman's is a dead one's.
open_copy() {
  (umask 022 && mkdir -p "$copy/sync") && ln -sfn "$db/local" "$copy/local" || return 1
  exec 9>>"$copy/wavemend.lock"
  flock -w 60 9 || { echo "error: another look holds $copy" >&2; return 1; }
  rm -f "$copy/db.lck"
  for own in "$db"/sync/*.db; do
    [ ! -e "$own" ] || [ -e "$copy/sync/${own##*/}" ] || cp -p "$own" "$copy/sync/" || return 1
  done
}
close_copy() { exec 9>&-; }

lock_owners() {
  find "$R"/proc/[0-9]*/fd -lname "$db/db.lck" 2>/dev/null | while IFS= read -r link; do
    pid=${link#"$R/proc/"}
    pid=${pid%%/*}
    IFS= read -r name <"$R/proc/$pid/comm" 2>/dev/null && printf '%s %s\n' "$pid" "$name"
  done
}

# The fields that are read of a package; without its words, 1,500 packages make 400 KB.
fields() {
  grep -E '^(Repository|Name|Version|Architecture|Provides|Depends On|Conflicts With|Replaces|Installed Size|status) +:'
}
installed() { { pacman -Qi --color never; echo "status : $?"; } | fields; }
offered() { { offers -Si -- "$@"; echo "status : $?"; } | fields; }
upgradable() { offers -Qu "$@" || [ $? -eq 1 ]; } # 1: there is none

# A package file of exactly this name and version, and of this architecture if one is given.
cached() {
  pacman-conf CacheDir | while IFS= read -r folder; do
    for file in "${folder%/}/$1-$2-"${3:-*}.pkg.tar*; do
      case $file in *.sig | *.part) continue ;; esac
      [ ! -f "$file" ] || printf '%s\n' "$file"
    done
  done | head -n 1
}

# Say for `name version architecture …` where each is to be had: in the repositories ($from_repos,
# names), in the cache ($from_cache, files), or nowhere ($absent).
place() {
  from_repos='' from_cache='' absent=''
  known=" $(offers -Si -- $(triples "$@" | cut -d ' ' -f 1) 2>/dev/null | awk '
    /^Name +:/ { name = $3 }
    /^Version +:/ && !(name in seen) { seen[name]; printf "%s=%s ", name, $3 }')"
  while [ $# -ge 3 ]; do
    case $known in
      *" $1=$2 "*) from_repos="$from_repos $1" ;;
      *)
        file=$(cached "$1" "$2" "$3")
        if [ -n "$file" ]; then from_cache="$from_cache $file"; else absent="$absent $1-$2"; fi
        ;;
    esac
    shift 3
  done
}
triples() { while [ $# -ge 3 ]; do printf '%s %s %s\n' "$1" "$2" "$3"; shift 3; done; }
