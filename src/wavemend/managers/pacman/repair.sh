# Mend what a killed pacman left: comes after shared.sh. No arguments.
# Exit status: 0 = nothing is left in between; 71 = an entry's package file is to be had nowhere;
# 75 = the lock belongs to a running process; else pacman's.
if [ -e "$db/db.lck" ]; then
  owners=$(lock_owners)
  [ -z "$owners" ] || { echo "error: $db/db.lck is held by $owners"; exit 75; }
  echo "removing $db/db.lck: no process has it open"
  rm -f "$db/db.lck"
fi

back() {
  for kept in "$aside"/*/; do
    [ -d "$kept" ] || continue
    whole=$(basename "$kept")
    if [ -e "$db/local/$whole" ]; then rm -rf -- "$kept"; else mv -- "$kept" "$db/local/$whole"; fi
  done
}
back # what an earlier repair that was killed had in hand

# An entry without its description is in nobody's way but the next transaction's: its package is
# installed again, over the files that are there. Where that fails the entry comes back: a package
# without one is unknown to everybody who looks.
for entry in "$db"/local/*/; do
  [ -d "$entry" ] || continue
  [ ! -s "$entry/desc" ] || [ ! -e "$entry/files" ] || continue
  whole=$(basename "$entry")
  pkgrel=${whole##*-} rest=${whole%-*}
  file=$(cached "${rest%-*}" "${rest##*-}-$pkgrel")
  [ -n "$file" ] || { echo "error: no package file of $whole in the cache"; exit 71; }
  mkdir -p "$aside" && mv -- "$entry" "$aside/$whole" || exit
  pacman -U --noconfirm --noprogressbar --color never --overwrite '*' -- "$file" </dev/null
  rc=$?
  back
  [ "$rc" -eq 0 ] || exit "$rc"
done
exit 0
