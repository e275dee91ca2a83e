# Print the host's journal. Argument: <bytes>; the oldest lines are left out beyond that.
echo "wavemend-journal 1"
[ -e "$W/journal" ] || exit 0
size=$(wc -c <"$W/journal")
if [ "$size" -gt "$1" ]; then tail -c "$1" "$W/journal" | sed 1d; else cat "$W/journal"; fi
