# Everything wavemend wants to know about a Debian or Ubuntu host, in one round trip. Reads only;
# with <refresh seconds> above 0 the package index, a cache, is renewed first.
# Arguments: <nonce> <refresh seconds>
#
# Every answer is a section between lines that carry the nonce, with stdout, stderr and the exit
# status of its command apart. Paths begin with $R, which is empty on a real host; package tools
# are called by bare name. Nothing here needs a program that Debian does not mark as essential.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 NEEDRESTART_MODE=l
R="${WAVEMEND_ROOT:-}"
N=$1 refresh=$2
cd / || exit 1

section() {
  name=$1
  shift
  out=$(
    { errors=$("$@" 2>&1 >&3 3>&- </dev/null); } 3>&1
    rc=$?
    printf '\n%s errors %s\n%s\n%s end %s %s\n' "$N" "$name" "$errors" "$N" "$name" "$rc"
  )
  printf '\n%s begin %s\n%s\n' "$N" "$name" "$out"
}

first_line() { IFS= read -r line <"$1" 2>/dev/null && printf '%s' "$line"; }

host() {
  # The clock first: what it says is compared with the controller's when the request came in.
  printf 'clock %s\n' "$clock"
  printf 'boot_id %s\n' "$(first_line "$R/proc/sys/kernel/random/boot_id")"
  printf 'machine_id %s\n' "$(first_line "$R/etc/machine-id")"
  printf 'uptime %s\n' "$(first_line "$R/proc/uptime")"
  printf 'hostname %s\n' "$(first_line "$R/proc/sys/kernel/hostname")"
  printf 'kernel %s\n' "$(first_line "$R/proc/sys/kernel/osrelease")"
  printf 'kernel_build %s\n' "$(first_line "$R/proc/version")"
  printf 'arch %s\n' "$(dpkg --print-architecture)"
}

os_release() { cat "$R/etc/os-release" 2>/dev/null || cat "$R/usr/lib/os-release"; }

refresh_index() {
  # Ending apt-get here is harmless: it only fetches, and keeps the old index when it fails.
  timeout -k 10 "$refresh" apt-get -q update -o APT::Color=0 -o DPkg::Lock::Timeout=60 \
    -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30
}

packages() {
  dpkg-query -W -f '${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Abbrev}\n'
}

simulate() { apt-get -s -q -o Debug::NoLocking=true -o APT::Color=0 "$@"; }

# What would be done with holds and phasing ignored: held and phased updates with their origin.
everything() {
  simulate --ignore-hold -o APT::Get::Always-Include-Phased-Updates=true dist-upgrade
}

upgradable() { apt -q list --upgradable 2>/dev/null; }

policies() {
  set -f
  apt-cache policy $names
}

reboot_required() {
  [ -e "$R/run/reboot-required" ] || return 0
  echo "reboot-required"
  cat "$R/run/reboot-required.pkgs" 2>/dev/null || :
}

stale_services() {
  command -v needrestart >/dev/null || return 0
  timeout -k 10 120 needrestart -b -r l
}

# A process holds the lock when it has the file open *and* the kernel lists a lock of it. The inode
# in /proc/locks is not compared: on an overlay root it is another one than the file shows.
lock_holders() {
  for lock in lock-frontend lock; do
    find "$R"/proc/[0-9]*/fd -lname "$R/var/lib/dpkg/$lock" 2>/dev/null
  done | while IFS= read -r link; do
    pid=${link#"$R/proc/"}
    pid=${pid%%/*}
    grep -q " WRITE *$pid " "$R/proc/locks" 2>/dev/null || continue
    printf '%s %s\n' "$pid" "$(first_line "$R/proc/$pid/comm")"
  done
}

space() {
  for path in / /var /boot; do
    [ -d "$R$path" ] || continue
    printf '%s %s %s\n' "$path" \
      "$(df -P -k "$R$path" | awk 'NR == 2 { print $2, $4 }')" \
      "$(df -P -i "$R$path" | awk 'NR == 2 { print $2, $4 }')"
  done
}

rivals() {
  apt-config dump APT::Periodic::Enable
  apt-config dump APT::Periodic::Unattended-Upgrade
  timer=apt-daily-upgrade.timer
  if [ "$(readlink "$R/etc/systemd/system/$timer")" = /dev/null ]; then echo "timer masked"
  elif [ -L "$R/etc/systemd/system/timers.target.wants/$timer" ]; then echo "timer enabled"
  elif [ -d "$R/run/systemd/system" ]; then echo "timer disabled"
  elif [ -e "$R/etc/cron.daily/apt-compat" ]; then echo "timer cron"
  fi
  # What runs now: `/proc/<pid>/comm` is cut to 15 letters.
  grep -HxE 'apt\.systemd\.dai.*|aptitude' "$R"/proc/[0-9]*/comm 2>/dev/null || :
}

clock=$(date +%s.%N)
section host host
section os-release os_release
[ "$refresh" -eq 0 ] || section refresh refresh_index
# Early: who works on the host now may change what the rest says.
section lock lock_holders
section packages packages

section upgrade simulate upgrade
all=$out
# The usual host has nothing kept back; only the others are asked more.
case $out in
  *" and 0 not upgraded."*) ;;
  *)
    section full-upgrade simulate dist-upgrade
    section phasing-ignored simulate -o APT::Get::Always-Include-Phased-Updates=true dist-upgrade
    section everything everything
    all="$all $out"
    section upgradable upgradable
    ;;
esac
names=$(printf '%s\n' "$all" | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p' | sort -u)
[ -z "$names" ] || section policy policies

section reboot-required reboot_required
section needrestart stale_services
section space space
section rivals rivals
printf '\n%s begin end\n%s\n\n%s errors end\n\n%s end end 0\n' "$N" "$(date +%s.%N)" "$N" "$N"
