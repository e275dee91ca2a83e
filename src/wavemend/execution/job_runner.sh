# Run one prepared job. Started detached as: sh <job directory>/runner <attempt id> <fence>
#
# File descriptor 8 holds an flock on run.lock, and every process of the job inherits it. So the
# lock is free only when the runner *and* everything it started are gone: a killed runner whose
# dpkg goes on still reads as running. Unlike a recorded pid, a lock cannot be taken over by a
# stranger, and no power cut leaves it behind.
set -u
umask 077
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8
R="${WAVEMEND_ROOT:-}"
attempt=$1 fence=$2
W="$R/var/lib/wavemend"
J="$W/jobs/$attempt"
cd / || exit 1

durable() { sync "$@" 2>/dev/null || sync; }
now() { date +%s; }
journal() {
  # A power cut may have left a torn last line: end it, so that it spoils no other entry.
  if [ -s "$W/journal" ] && [ -n "$(tail -c 1 "$W/journal")" ]; then echo >>"$W/journal"; fi
  printf '%s\n' "$*" >>"$W/journal" && durable "$W/journal" "$W"
}

exec 8>>"$J/run.lock" || exit 1
# Readers test this lock for a moment; another runner of this job holds it to the end.
flock -w 10 8 || exit 1
[ ! -e "$J/begun" ] && [ ! -e "$J/cancelled" ] && [ ! -e "$J/forbidden" ] || exit 0
read -r seen <"$W/fence" && [ "$fence" -ge "$seen" ] || exit 1
read -r nonce <"$J/nonce" || exit 1
boot_id=$(cat "$R/proc/sys/kernel/random/boot_id" 2>/dev/null) || boot_id=unknown

# Reserve the room for the end: a transaction that fills the disk must still be able to say so.
printf '%-80s\n' pending >"$J/rc.new" || exit 1
printf '%s %s %s\n' "$fence" "$(now)" "$boot_id" >"$J/begun.new" || exit 1
durable "$J/begun.new" "$J/rc.new"

# Journal first: once `begun` is there, so is the journal's line. From here on it has begun.
journal "begin $attempt $fence $(now) $boot_id" || exit 1
mv "$J/begun.new" "$J/begun" || exit 1
durable "$J"

set --
while IFS= read -r argument; do set -- "$@" "$argument"; done <"$J/args"

# A polite stop (shutdown, systemctl stop) reaches only this shell, which goes on waiting. Caught,
# not ignored: ignored signals would be inherited by every daemon a maintainer script starts.
trap : TERM HUP INT
umask 022
HOME="${HOME:-/root}" /bin/sh "$J/script" "$@" </dev/null >>"$J/log" 2>&1
rc=$?
umask 077

printf '%-80s\n' "$nonce $rc $(now)" 1<>"$J/rc.new"
durable "$J/rc.new" "$J/log"
mv "$J/rc.new" "$J/rc"
durable "$J"
journal "end $attempt $rc $(now)"
