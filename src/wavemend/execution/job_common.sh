# What every job script begins with: jobs.py puts it first. POSIX sh, dash and busybox.
set -u
umask 077
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
R="${WAVEMEND_ROOT:-}"
W="$R/var/lib/wavemend"

now() { date +%s; }

# A new directory entry is only there after a power cut when its parent was written out too.
durable() { sync "$@" 2>/dev/null </dev/null || sync; }

# is_id TEXT: it can be an attempt's name, and so a directory's.
is_id() {
  case $1 in '' | *[!a-z0-9-]*) return 1 ;; esac
  [ "${#1}" -ge 8 ] && [ "${#1}" -le 64 ]
}

# hold FD SECONDS: take a lock, waiting so long. busybox's flock knows no -w.
hold() {
  tries=$(($2 * 10))
  until flock -n "$1" </dev/null; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1 2>/dev/null || sleep 1
  done
}

needs() {
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 78; }
  done
}

# A power cut may leave NULs: the shell loses them, and grep finds no text where they are.
text() { "$@" "$W/journal" | tr '\000' '?'; }
torn() { [ -n "$(text tail -c 1)" ]; }

# begin_of ID: print the journal's line of a job's beginning; false when there is none. A line that
# a full disk or a power cut has torn is not one: `begun` is only made after a whole one.
begin_of() {
  [ -e "$W/journal" ] || return 1
  if torn; then text sed '$d'; else text cat; fi |
    grep "^begin $1 [0-9]* [0-9]* [^ ]*\$"
}
