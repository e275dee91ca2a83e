# Make sure that a job which has not begun never will. Arguments: <attempt id> <log bytes>.
# job_status.sh follows this text and reports what is true then: not begun, or begun after all.
# A start whose answer was lost may still be on its way; after this it finds `forbidden`.
# Exit status: that of job_status.sh; 75 = a start held the lock too long; 78, 80 as there;
# 1 = a file could not be written.
is_id "$1" || exit 80
J="$W/jobs/$1"
needs flock
mkdir -p "$J" || exit 1
exec 9>>"$W/lock"
hold 9 20 || exit 75
exec 8>>"$J/run.lock"
# Not to be had: a runner holds it, so the job has begun, and the report says so.
if hold 8 2 && [ ! -e "$J/begun" ]; then
  : >"$J/forbidden" || exit 1
  durable "$J/forbidden" "$J" "$W/jobs"
fi
exec 8>&- 9>&-
