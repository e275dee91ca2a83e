# Mend what a killed pacman left: comes after shared.sh. No arguments.
# Exit status: 0 = nothing is left in between; 71 = an entry's package file is to be had nowhere;
# 75 = the lock belongs to a running process; else pacman's.
if [ -e "$db/db.lck" ]; then
  owners=$(lock_owners)
  [ -z "$owners" ] || { echo "error: $db/db.lck is held by $owners"; exit 75; }
  echo "removing $db/db.lck: no process has it open"
  rm -f "$db/db.lck"
fi

# An entry without its description is in nobody's way but the next transaction's: its package is
# installed again, over the files that are there.
for entry in "$db"/local/*/; do
  [ -d "$entry" ] || continue
  [ ! -s "$entry/desc" ] || [ ! -e "$entry/files" ] || continue
  whole=$(basename "$entry")
  pkgrel=${whole##*-} rest=${whole%-*}
  file=$(cached "${rest%-*}" "${rest##*-}-$pkgrel")
  [ -n "$file" ] || { echo "error: no package file of $whole in the cache"; exit 71; }
  rm -rf -- "$entry"
  pacman -U --noconfirm --noprogressbar --color never --overwrite '*' -- "$file" </dev/null || exit
done
exit 0
