# Run one prepared job. Started detached as: sh <job directory>/runner <attempt id> <fence>
#
# File descriptor 8 holds an flock on run.lock, and every process of the job inherits it. So the
# lock is free only when the runner *and* everything it started are gone: a killed runner whose
# dpkg goes on still reads as running. Unlike a recorded pid, a lock cannot be taken over by a
# stranger, and no power cut leaves it behind.
attempt=$1 fence=$2
J="$W/jobs/$attempt"
cd / || exit 1

# In place: on a full disk there is room for it.
refuse() { printf '%-80s\n' "$1" 1<>"$J/refusal"; exit 1; }
# A torn last line is ended and marked, so that it spoils no other entry and reads as no beginning.
journal() {
  (
    hold 7 10 || exit 1
    if [ -s "$W/journal" ] && torn; then
      echo ' torn' >>"$W/journal" || exit 1
    fi
    printf '%s\n' "$*" >>"$W/journal" && durable "$W/journal" "$W"
  ) 7>>"$W/journal.lock"
}

exec 8>>"$J/run.lock" || exit 1
# Readers test this lock for a moment; another runner of this job holds it to the end.
hold 8 10 || exit 1
[ ! -e "$J/begun" ] && [ ! -e "$J/cancelled" ] && [ ! -e "$J/forbidden" ] || exit 0
read -r seen <"$W/fence" && [ "$fence" -ge "$seen" ] || exit 1
read -r nonce not_after <"$J/nonce" || exit 1
boot_id=$(cat "$R/proc/sys/kernel/random/boot_id" 2>/dev/null) || boot_id=unknown

# By this host's clock, at the last moment: a stalled controller, a paused machine and a unit that
# waited in a queue are all late here. Preflight bounds how far the clocks are apart.
[ "$not_after" = - ] || [ "$(now)" -le "$not_after" ] || refuse late

# Reserve the room for the end: a transaction that fills the disk must still be able to say so.
printf '%-80s\n' pending >"$J/rc.new" || refuse full
printf '%s %s %s\n' "$fence" "$(now)" "$boot_id" >"$J/begun.new" || refuse full
durable "$J/begun.new" "$J/rc.new"

# From here on a polite stop (shutdown, systemctl stop) reaches only this shell, which goes on.
# Caught, not ignored: ignored signals would be inherited by every daemon a maintainer script starts.
trap : TERM HUP INT

# Journal first: once `begun` is there, so is the journal's line. From here on it has begun.
journal "begin $attempt $fence $(now) $boot_id" || refuse full
mv "$J/begun.new" "$J/begun" || exit 1
durable "$J"

set --
while IFS= read -r argument; do set -- "$@" "$argument"; done <"$J/args"
umask 022
HOME="${HOME:-/root}" /bin/sh "$J/script" "$@" </dev/null >>"$J/log" 2>&1
rc=$?
umask 077

printf '%-80s\n' "$nonce $rc $(now)" 1<>"$J/rc.new"
durable "$J/rc.new" "$J/log"
mv "$J/rc.new" "$J/rc"
durable "$J"
journal "end $attempt $rc $(now)"
