# Remove all job directories but the newest, and bound the journal.
# Arguments: <directories to keep> <lines of journal to keep>. Answer: `<removed> <left running>`.
# Exit status: 0, or 75, 78 as in job_start.sh; 1 = the journal could not be written anew.
#
# A directory that is gone is remembered by the journal, whose last lines always stay; older ones
# stay as long as their job's directory does. What is forgotten is thousands of attempts old: its
# start, should it still be on its way, is refused as late.
needs flock
[ -d "$W/jobs" ] || { echo "0 0"; exit 0; }
exec 9>>"$W/lock"
hold 9 20 || exit 75
removed=0 running=0
for id in $(ls -t "$W/jobs" | tail -n "+$(($1 + 1))"); do
  is_id "$id" || continue
  lock="$W/jobs/$id/run.lock"
  if [ -e "$lock" ] && ! flock -n "$lock" true </dev/null; then
    running=$((running + 1))
  elif rm -rf -- "$W/jobs/$id"; then
    removed=$((removed + 1))
  fi
done
echo "$removed $running"
[ -e "$W/journal" ] || exit 0
exec 7>>"$W/journal.lock"
hold 7 10 || exit 75
lines=$(wc -l <"$W/journal")
# Twice as many before anything is written: not at every visit.
[ "$lines" -gt "$(($2 * 2))" ] || exit 0
ls "$W/jobs" | sed 's/.*/ & /' >"$W/journal.ids" || exit 1
older() { text head -n "$((lines - $1))" | grep -F -f "$W/journal.ids"; [ $? -le 1 ]; }
older "$2" >"$W/journal.new" && tail -n "$2" "$W/journal" >>"$W/journal.new" || exit 1
durable "$W/journal.new"
mv "$W/journal.new" "$W/journal"
rm "$W/journal.ids"
durable "$W"
