# Make sure that a job which has not begun never will. Arguments: <attempt id> <log bytes>.
# job_status.sh follows this text and reports what is true then: not begun, or begun after all.
# A start whose answer was lost may still be on its way; after this it finds `forbidden`.
# Exit status: that of job_status.sh; 75 = a start held the lock too long; 78, 80 as there.
set -u
umask 077
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8
R="${WAVEMEND_ROOT:-}"
case $1 in '' | *[!a-z0-9-]*) exit 80 ;; esac
W="$R/var/lib/wavemend"
J="$W/jobs/$1"
command -v flock >/dev/null || { echo "flock is not installed" >&2; exit 78; }
mkdir -p "$J" || exit 1
exec 9>>"$W/lock"
flock -w 20 9 </dev/null || exit 75
exec 8>>"$J/run.lock"
# Not to be had: a runner holds it, so the job has begun, and the report says so.
if flock -w 2 8 </dev/null && [ ! -e "$J/begun" ]; then
  : >"$J/forbidden" || exit 1
  sync "$J/forbidden" "$J" "$W/jobs" 2>/dev/null </dev/null || sync
fi
exec 8>&- 9>&-
