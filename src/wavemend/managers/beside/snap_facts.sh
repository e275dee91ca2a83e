# What wavemend asks about a host's snaps, in one round trip: comes after reading/frame.sh.
# snapd asks its store itself; <refresh seconds> only bound it.
[ "$refresh" -gt 0 ] || refresh=60
if command -v snap >/dev/null; then
  section list snap list --color=never --unicode=never
  section refresh timeout -k 10 "$refresh" snap refresh --list --color=never --unicode=never
  section times timeout -k 5 30 snap refresh --time
fi
finish
