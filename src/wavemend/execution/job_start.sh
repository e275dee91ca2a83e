# Prepare one detached job, once, and launch it. Arguments: <attempt id> <fence> <log bytes>.
#
# stdin goes on with the payload: one line `<nonce> <lines of job_status.sh> <lines of
# job_runner.sh> <number of arguments> <bytes of script>`, then exactly that, in this order, one
# argument per line. Nothing of it stands in an argv, where every local user and sudo's log read it.
#
# Exit status: 0 = the status report follows on stdout; 75 = another start held the lock too long;
# 76 = a lower fence than this host has seen; 77 = the runner did not begin; 78 = the host lacks a
# program; 79 = the host's records are damaged; 80 = the payload came incomplete;
# anything else = a file could not be written.
set -eu
umask 077
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8
R="${WAVEMEND_ROOT:-}"
attempt=$1 fence=$2 bound=$3
case $attempt in '' | *[!a-z0-9-]*) exit 80 ;; esac
[ "${#attempt}" -ge 8 ] && [ "${#attempt}" -le 64 ] || exit 80
case $fence in '' | *[!0-9]*) exit 80 ;; esac
for program in flock setsid; do
  command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 78; }
done

W="$R/var/lib/wavemend"
J="$W/jobs/$attempt"
# A new directory entry is only there after a power cut when its parent was written out too.
durable() { sync "$@" 2>/dev/null || sync; }

# `read` takes single bytes, so what follows the last line is still there for `cat`.
take() {
  left=$1
  while [ "$left" -gt 0 ]; do
    IFS= read -r line || return 80
    printf '%s\n' "$line"
    left=$((left - 1))
  done
}
read -r nonce status_lines runner_lines arguments script_bytes || exit 80
case $nonce in '' | *[!a-z0-9]*) exit 80 ;; esac
status=$(take "$status_lines") || exit 80

mkdir -p "$W/jobs"
# The kernel drops this lock when its holder dies, however it dies: it cannot be left stale.
exec 9>>"$W/lock"
flock -w 20 9 || exit 75

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
if [ -e "$W/journal" ] && grep -q "^begin $attempt " "$W/journal"; then report; fi

# Not begun: prepare it (again), under the job's own lock. The runner of an earlier, cut-off start
# may still come: whichever runner takes that lock first runs the job, the others find `begun`, and
# none can read half-written files.
mkdir "$J" 2>/dev/null || [ -d "$J" ]
exec 8>>"$J/run.lock"
flock -w 20 8 || report
[ ! -e "$J/begun" ] || { exec 8>&-; report; }
: >"$J/cancelled"
take "$runner_lines" >"$J/runner" || exit 80
take "$arguments" >"$J/args" || exit 80
cat >"$J/script"
# A connection cut while sending must not leave half a script to run.
[ "$(wc -c <"$J/script")" -eq "$script_bytes" ] || exit 80
printf '%s\n' "$nonce" >"$J/nonce"
: >>"$J/log"
durable "$J/args" "$J/script" "$J/runner" "$J/nonce"
rm "$J/cancelled"
durable "$J" "$W/jobs"
exec 8>&-

launched=no
if [ -d "$R/run/systemd/system" ] && command -v systemd-run >/dev/null; then
  # KillMode=process: a daemon that a maintainer script starts must outlive the job, and a stop of
  # the unit must not kill dpkg. TimeoutStopSec: a shutdown waits a quarter of an hour for it.
  if systemd-run --quiet --collect --unit="wavemend-$attempt" --property=KillMode=process \
    --property=TimeoutStopSec=900 --property=IgnoreSIGPIPE=no \
    ${R:+"--setenv=WAVEMEND_ROOT=$R"} \
    /bin/sh "$J/runner" "$attempt" "$fence" </dev/null >/dev/null 2>&1 9>&-; then
    launched=yes
  fi
fi
if [ "$launched" = no ]; then
  setsid /bin/sh "$J/runner" "$attempt" "$fence" </dev/null >/dev/null 2>&1 \
    3>&- 4>&- 5>&- 6>&- 7>&- 9>&- &
fi

# Wait until it began: at most about 10 s (a loaded host), normally one or two turns.
turns=100
while [ ! -e "$J/begun" ] && [ "$turns" -gt 0 ]; do
  sleep 0.1
  turns=$((turns - 1))
done
[ ! -e "$J/begun" ] || report

# It did not come. Cancel it under its own lock, so that "did not begin" stays true until the next
# start, or find that it began at the last moment.
exec 8>>"$J/run.lock"
flock -w 20 8 || report
[ ! -e "$J/begun" ] || { exec 8>&-; report; }
: >"$J/cancelled"
durable "$J/cancelled" "$J"
exit 77
