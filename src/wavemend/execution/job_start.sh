# Prepare one detached job, once, and launch it. Arguments: <attempt id> <fence> <log bytes>.
#
# stdin goes on with the payload: one line `<nonce> <not after> <lines of job_status.sh> <lines of
# job_runner.sh> <number of arguments> <bytes of script>`, then exactly that, in this order, one
# argument per line. Nothing of it stands in an argv, where every local user and sudo's log read it.
#
# Exit status: 0 = the status report follows on stdout; 75 = another start held the lock too long;
# 76 = a lower fence than this host has seen; 77 = the runner did not begin; 78 = the host lacks a
# program; 79 = the host's records are damaged; 80 = the payload came incomplete; 82 = too late;
# 1, 2, 74 = a file could not be written.
set -e
attempt=$1 fence=$2 bound=$3
is_id "$attempt" || exit 80
case $fence in '' | *[!0-9]*) exit 80 ;; esac
needs flock setsid
J="$W/jobs/$attempt"

# `read` takes single bytes, so what follows the last line is still there for `cat`.
take() {
  left=$1
  while [ "$left" -gt 0 ]; do
    IFS= read -r line || return 80
    printf '%s\n' "$line" || return 74
    left=$((left - 1))
  done
}
read -r nonce not_after status_lines runner_lines arguments script_bytes || exit 80
case $nonce in '' | *[!a-z0-9]*) exit 80 ;; esac
status=$(take "$status_lines") || exit 80

mkdir -p "$W/jobs"
# The kernel drops this lock when its holder dies, however it dies: it cannot be left stale.
exec 9>>"$W/lock"
hold 9 20 || exit 75

# Fence: check and set under the lock. The host refuses a controller that was overtaken.
seen=0
if [ -e "$W/fence" ]; then
  read -r seen <"$W/fence" || :
  case $seen in '' | *[!0-9]*) echo "$W/fence is damaged" >&2; exit 79 ;; esac
fi
[ "$fence" -ge "$seen" ] || { echo "$seen" >&2; exit 76; }
if [ "$fence" -gt "$seen" ]; then
  printf '%s\n' "$fence" >"$W/fence.new"
  durable "$W/fence.new"
  mv "$W/fence.new" "$W/fence"
  durable "$W"
fi

report() { exec 9>&-; sh -c "$status" wavemend-status "$attempt" "$bound"; exit 0; }

# Whatever began once, or was forbidden, is only looked at. The journal remembers what began when
# the directory is gone.
[ ! -e "$J/begun" ] || report
[ ! -e "$J/forbidden" ] || report
if begin_of "$attempt" >/dev/null; then report; fi

# Not begun: prepare it (again), under the job's own lock. The runner of an earlier, cut-off start
# may still come: whichever runner takes that lock first runs the job, the others find `begun`, and
# none can read half-written files.
mkdir "$J" 2>/dev/null || [ -d "$J" ] || mkdir "$J"
exec 8>>"$J/run.lock"
hold 8 20 || report
[ ! -e "$J/begun" ] || { exec 8>&-; report; }
: >"$J/cancelled"
take "$runner_lines" >"$J/runner" || exit $?
take "$arguments" >"$J/args" || exit $?
cat >"$J/script"
# A connection cut while sending must not leave half a script to run.
[ "$(wc -c <"$J/script")" -eq "$script_bytes" ] || exit 80
printf '%s %s\n' "$nonce" "$not_after" >"$J/nonce"
# The room in which a runner on a full disk says why it does not begin.
printf '%-80s\n' - >"$J/refusal"
: >>"$J/log"
durable "$J/args" "$J/script" "$J/runner" "$J/nonce"
rm "$J/cancelled"
durable "$J" "$W/jobs"
exec 8>&-

launched=no
if [ -d "$R/run/systemd/system" ] && command -v systemd-run >/dev/null; then
  # KillMode=process: a daemon that a maintainer script starts must outlive the job, and a stop of
  # the unit must not kill dpkg. TimeoutStopSec: a shutdown waits a quarter of an hour for it.
  # Before systemd 236 not all of them are known. A unit without them is still none of the login's
  # session, with whose end a job may be killed.
  for known in '--collect --property=TimeoutStopSec=900 --property=IgnoreSIGPIPE=no' ''; do
    if systemd-run --quiet $known --unit="wavemend-$attempt" --property=KillMode=process \
      ${R:+"--setenv=WAVEMEND_ROOT=$R"} \
      /bin/sh "$J/runner" "$attempt" "$fence" </dev/null >/dev/null 2>&1 9>&-; then
      launched=yes
      break
    fi
  done
fi
if [ "$launched" = no ]; then
  setsid /bin/sh "$J/runner" "$attempt" "$fence" </dev/null >/dev/null 2>&1 \
    3>&- 4>&- 5>&- 6>&- 7>&- 9>&- &
fi

# Wait until it began or refused: at most about 10 s (a loaded host), normally one or two turns.
turns=100 refusal=-
while [ ! -e "$J/begun" ] && [ "$refusal" = - ] && [ "$turns" -gt 0 ]; do
  sleep 0.1 2>/dev/null || sleep 1
  read -r refusal <"$J/refusal"
  turns=$((turns - 1))
done
[ ! -e "$J/begun" ] || report
[ "$refusal" != late ] || exit 82

# It did not come. Cancel it under its own lock, so that "did not begin" stays true until the next
# start, or find that it began at the last moment.
exec 8>>"$J/run.lock"
hold 8 20 || report
[ ! -e "$J/begun" ] || { exec 8>&-; report; }
: >"$J/cancelled"
durable "$J/cancelled" "$J"
[ "$refusal" != full ] || exit 74
exit 77
