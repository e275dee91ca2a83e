# Remove one job's directory; the journal keeps that it began. Argument: <attempt id>.
# Exit status: 0 = gone (or never there), 81 = still running, 75, 78, 80 as in job_start.sh.
is_id "$1" || exit 80
J="$W/jobs/$1"
[ -d "$J" ] || exit 0
needs flock
exec 9>>"$W/lock"
hold 9 20 || exit 75
if [ -e "$J/run.lock" ]; then
  flock -n "$J/run.lock" true </dev/null || exit 81
fi
rm -rf -- "$J"
