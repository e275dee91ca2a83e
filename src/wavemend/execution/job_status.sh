# Report the state of one job. Arguments: <attempt id> <bytes of log to return>.
# Answer: one header of `key value` lines, an empty line, then the last bytes of the log.
attempt=$1 bound=$2
is_id "$attempt" || exit 80
J="$W/jobs/$attempt"
needs flock

echo "wavemend-job 1"
# The lock first, the rc file second: a job that ends in between is then seen as ended.
held=no
if [ -e "$J/run.lock" ] && ! flock -n -s "$J/run.lock" true </dev/null; then held=yes; fi
echo "held $held"
if [ -e "$J/rc" ] && read -r line <"$J/rc"; then echo "rc $line"; fi
if [ -e "$J/begun" ] && read -r line <"$J/begun"; then echo "begun $line"
elif line=$(begin_of "$attempt"); then
  # The directory is gone, the journal remembers: it began, and its end cannot be proven any more.
  set -f
  set -- $line
  echo "begun $3 $4 $5"
fi
size=0
if [ -e "$J/log" ]; then size=$(wc -c <"$J/log"); fi
echo "log $((size))"
echo
if [ "$size" -gt 0 ]; then tail -c "$bound" "$J/log"; fi
exit 0
