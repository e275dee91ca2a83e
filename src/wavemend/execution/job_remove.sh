# Remove one job's directory; the journal keeps that it began. Argument: <attempt id>.
# Exit status: 0 = gone (or never there), 81 = still running.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8
R="${WAVEMEND_ROOT:-}"
case $1 in '' | *[!a-z0-9-]*) exit 80 ;; esac
[ "${#1}" -ge 8 ] && [ "${#1}" -le 64 ] || exit 80
W="$R/var/lib/wavemend"
J="$W/jobs/$1"
[ -d "$J" ] || exit 0
command -v flock >/dev/null || { echo "flock is not installed" >&2; exit 78; }
exec 9>>"$W/lock"
flock -w 20 9 </dev/null || exit 75
if [ -e "$J/run.lock" ]; then
  flock -n "$J/run.lock" true </dev/null || exit 81
fi
rm -rf -- "$J"
