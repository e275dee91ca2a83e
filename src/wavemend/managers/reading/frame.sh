# What every facts script begins with: framed sections, and what is asked of any Linux host.
# Arguments of the whole script: <nonce> <refresh seconds>
#
# Every answer is a section between lines that carry the nonce, with stdout, stderr and the exit
# status of its command apart. Paths begin with $R, which is empty on a real host; tools are called
# by bare name. Nothing here needs more than a POSIX sh with the usual small tools.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
R="${WAVEMEND_ROOT:-}"
N=$1 refresh=$2
# Where a change of packages writes, wavemend's own job among it. A declared manager's commands may
# write elsewhere.
written='/ /usr /boot /var/lib'
cd / || exit 1

# The answer is printed in one piece: every piece is a packet of its own on the way.
answer=

section() {
  name=$1
  shift
  out=$(
    { errors=$("$@" 2>&1 >&3 3>&- </dev/null); } 3>&1
    rc=$?
    printf '\n%s errors %s\n%s\n%s end %s %s\n' "$N" "$name" "$errors" "$N" "$name" "$rc"
  )
  answer="$answer
$N begin $name
$out
"
}

# The last section: without it an answer was cut off.
finish() {
  printf '%s\n%s begin end\n%s\n\n%s errors end\n\n%s end end 0\n' \
    "$answer" "$N" "$(date +%s.%N)" "$N" "$N"
}

# Also where the file's only line has no end.
first_line() {
  line=
  IFS= read -r line 2>/dev/null <"$1" || [ -n "$line" ] && printf '%s' "$line"
}

# `package_arch` is the manager's own: what it calls this host's architecture.
host() {
  # The clock first: what it says is compared with the controller's when the request came in.
  printf 'clock %s\n' "$clock"
  printf 'boot_id %s\n' "$(first_line "$R/proc/sys/kernel/random/boot_id")"
  printf 'machine_id %s\n' "$(first_line "$R/etc/machine-id")"
  printf 'uptime %s\n' "$(first_line "$R/proc/uptime")"
  printf 'hostname %s\n' "$(first_line "$R/proc/sys/kernel/hostname")"
  printf 'kernel %s\n' "$(first_line "$R/proc/sys/kernel/osrelease")"
  printf 'kernel_build %s\n' "$(first_line "$R/proc/version")"
  printf 'arch %s\n' "$(package_arch)"
}

os_release() { cat "$R/etc/os-release" 2>/dev/null || cat "$R/usr/lib/os-release"; }

space() {
  for path in / /var /boot; do
    [ -d "$R$path" ] || continue
    printf '%s %s %s\n' "$path" \
      "$(df -P -k "$R$path" | awk 'NR == 2 { print $2, $4 }')" \
      "$(df -P -i "$R$path" | awk 'NR == 2 { print $2, $4 }')"
  done
}

# The mount points that are read-only, of those that a change writes to, in the kernel's own words:
# to root, some shells call every file writable. A disk that fails ends so, too. What fstab wants so
# is left to the hooks that its administrator gave the package manager, but for wavemend's own place.
# Hooks open no system that comes as images: what is changed in one is refused, or gone after a boot.
read_only() {
  case " $written " in
    *' / '*) [ ! -e "$R/run/ostree-booted" ] || echo '/usr (an image of ostree)' ;;
  esac
  [ -r "$R/proc/self/mounts" ] || return 0
  fstab=
  [ ! -r "$R/etc/fstab" ] || [ -e "$R/usr/sbin/transactional-update" ] || fstab=$R/etc/fstab
  for path in $written; do
    # Behind links, as those of an appliance whose system is read-only and whose data is not.
    place=$(cd -P "$R$path" 2>/dev/null && pwd) || continue
    awk -v path="${place#"$R"}" -v asked="$path" '
      FILENAME ~ /fstab$/ {
        if ($1 !~ /^#/ && $4 ~ /(^|,)ro(,|$)/) wanted[$2] = 1
        next
      }
      $2 == path || $2 == "/" || index(path, $2 "/") == 1 {
        if (length($2) >= length(place)) { place = $2; options = $4 }
      }
      END {
        if (wanted[place] && asked != "/var/lib" && options !~ /emergency_ro/) exit
        if (options ~ /(^|,)(emergency_)?ro(,|$)/) print place
      }' $fstab "$R/proc/self/mounts"
  done | sort -u
}

# A container's process: its files are not this host's, even where their names are the same. The
# kernel's own view of it, where there is one, has another numbering of processes than ours.
elsewhere() {
  [ -e "$R/proc/$1/ns/pid" ] && ! [ "$R/proc/$1/ns/pid" -ef "$R/proc/self/ns/pid" ]
}

# Who holds a lock on one of these files. A process holds it when it has the file open *and* the
# kernel lists a lock of it. The inode in /proc/locks is not compared: on an overlay root it is
# another one than the file shows.
lock_holders() {
  for lock in "$@"; do
    find "$R"/proc/[0-9]*/fd -lname "$R$lock" 2>/dev/null
  done | while IFS= read -r link; do
    pid=${link#"$R/proc/"}
    pid=${pid%%/*}
    grep -q " WRITE *$pid " "$R/proc/locks" 2>/dev/null || continue
    elsewhere "$pid" && continue
    printf '%s %s\n' "$pid" "$(first_line "$R/proc/$pid/comm")"
  done
}

users() { command -v who >/dev/null || return 0; who; }

inhibitors() {
  [ -d "$R/run/systemd/system" ] && command -v systemd-inhibit >/dev/null || return 0
  timeout -k 5 20 systemd-inhibit --list --no-pager && return 0
  # Nobody answered: what logind wrote down, in the same order.
  for file in "$R"/run/systemd/inhibit/*; do
    [ -f "$file" ] || continue # beside each one lies a pipe
    awk -F= '{ told[$1] = substr($0, length($1) + 2) }
      END { print told["WHO"], told["WHAT"], told["WHY"], told["MODE"] }' "$file"
  done
}

shutdown_scheduled() {
  [ -e "$R/run/systemd/shutdown/scheduled" ] || return 0
  cat "$R/run/systemd/shutdown/scheduled"
}

# What wavemend itself began here, as the host remembers it.
own_journal() {
  [ -e "$R/var/lib/wavemend/journal" ] || return 0
  tail -n 60 "$R/var/lib/wavemend/journal" | sed -n 's/^begin //p' | tail -n 20
}

# Services, or else programs, that still run libraries or a program of their own which are not there
# any more; one a line. A person's session keeps what it began with until its end, and is no service.
# What lay in a temporary place was never a package's: Java unpacks libraries there, loads them and
# removes them, and after every restart again.
replaced_files() {
  grep -HE '\.so[.0-9]* \(deleted\)$|r-x. .* /(usr|s?bin|lib[0-9]*|opt)/.* \(deleted\)$' \
    "$R"/proc/[0-9]*/maps 2>/dev/null | grep -vE ' /(memfd:|(.*/)?(tmp|shm)/)' |
    sed 's,/maps:.*,,' | sort -u |
    while IFS= read -r process; do
      pid=${process##*/}
      elsewhere "$pid" && continue
      ! grep -q '/session-[^/]*\.scope$' "$R/proc/$pid/cgroup" 2>/dev/null || continue
      unit=$(sed -n 's,.*/\([^/]*\.service\)$,\1,p' "$R/proc/$pid/cgroup" 2>/dev/null | head -n 1)
      printf '%s\n' "${unit:-$(first_line "$R/proc/$pid/comm")}"
    done | sort -u
}

boot_files() {
  for file in "$R"/boot/vmlinu[xz]-* "$R"/boot/Image-* "$R"/boot/initr*; do
    [ -f "$file" ] || continue
    [ -s "$file" ] && echo "whole ${file##*/}" || echo "empty ${file##*/}"
  done
}

dkms_modules() {
  [ -d "$R/var/lib/dkms" ] && command -v dkms >/dev/null || return 0
  timeout -k 5 60 dkms status
}

# A bounded wait for whoever holds locks: `wait_for_locks <seconds> FILES...`.
wait_for_locks() {
  left=$1
  shift
  while [ "$left" -gt 0 ] && [ -n "$(lock_holders "$@")" ]; do
    sleep 3
    left=$((left - 3))
  done
}

# What every host is asked; the clock is read before anything slow.
about_host() {
  clock=$(date +%s.%N)
  section host host
  section os-release os_release
  section space space
  section read-only read_only
  section users users
  section inhibitors inhibitors
  section shutdown shutdown_scheduled
  section boot boot_files
  section dkms dkms_modules
  section journal own_journal
}
