# Bring packages to exact versions, newer or older ones: comes after shared.sh.
# Arguments: keep|replace, then name, version, architecture of each. The exit status is pacman's, or
# 71 = a version is to be had nowhere, 72 = a package is on hold, 73 = not downloaded, 75 = the lock
# stayed taken. Runs detached (execution/job_runner.sh): no terminal, no stdin.
#
# Never `-Sy` with packages behind it: the exact files are fetched by our copy of the databases,
# which checks them, and installed by `-U`. All that comes along was rehearsed and is named.
conffiles=$1
shift

open_copy || exit 73
upgradable -- $(triples "$@" | cut -d ' ' -f 1) 2>/dev/null | grep '\[ignored\]$' && exit 72
place "$@"
[ -z "$absent" ] || { echo "error: to be had nowhere:$absent"; exit 71; }
if [ -n "$from_repos" ]; then offers -Swdd --noprogressbar -- $from_repos </dev/null || exit 73; fi
close_copy

files=$(triples "$@" | while read -r name version arch; do cached "$name" "$version" "$arch"; done)
if [ "$(printf '%s\n' $files | wc -l)" -ne $(($# / 3)) ]; then
  echo "error: not every package file is in the cache"
  exit 71
fi
new=$(triples "$@" | while read -r name _; do pacman -Qq -- "$name" >/dev/null 2>&1 || echo "$name"; done)

seconds=120
while [ -e "$db/db.lck" ] && [ "$seconds" -gt 0 ]; do
  sleep 1
  seconds=$((seconds - 1))
done
if [ -e "$db/db.lck" ]; then
  owners=$(lock_owners)
  echo "error: $db/db.lck is held by ${owners:-nobody: a pacman was killed, a repair removes it}"
  exit 75
fi

stamp=$(mktemp) || stamp=
pacman -U --noconfirm --noprogressbar --color never --needed -- $files </dev/null
rc=$?
# What came as a dependency counts as one: named on the command line, it would be kept for ever.
[ "$rc" -ne 0 ] || [ -z "$new" ] || pacman -D --asdeps --color never -- $new </dev/null

# Last in the log, where a bounded reader still sees it: configuration files that the host edited.
if [ -n "$stamp" ]; then
  find "$R/etc" -xdev -name '*.pacnew' -cnewer "$stamp" | while IFS= read -r fresh; do
    edited=${fresh%.pacnew}
    if [ "$conffiles" = replace ]; then
      mv -f "$edited" "$edited.pacsave" && mv -f "$fresh" "$edited" &&
        echo "the package's ${edited#"$R"} came in, the host's own is ${edited#"$R"}.pacsave"
    else
      owner=$(pacman -Qqo -- "$edited" 2>/dev/null | head -n 1)
      printf 'wavemend-kept %s %s\n' "${owner:--}" "${edited#"$R"}"
    fi
  done
  rm -f "$stamp"
fi

# Nothing is left to upgrade: then the host's own databases must say so too, or the next `pacman -S`
# would look for versions that are gone, and take what was built for older libraries.
if [ "$rc" -eq 0 ] && ! upgradable 2>/dev/null | grep -qv '\[ignored\]$' &&
  (set -C && : >"$db/db.lck") 2>/dev/null; then
  cp -p "$copy"/sync/*.db "$db/sync/"
  rm -f "$db/db.lck"
fi
exit "$rc"
