# Bring packages to exact versions. Arguments: upgrade|back, keep|replace, name=version of each.
# The exit status is apk's, or 71 = apk would do something else than planned, 73 = what it would
# do cannot be said, 74 = the host runs from memory and has changes of its own that are not saved,
# 76 = they were made and cannot be saved. Runs detached: no terminal, no stdin. For busybox.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
R="${WAVEMEND_ROOT:-}"
cd / || exit 1
direction=$1 conffiles=$2
shift 2

# `upgrade` leaves the list of wanted packages (world) alone; going back has to name versions.
change() {
  if [ "$direction" = upgrade ]; then
    apk --no-progress --cache-max-age 1000000 --wait 120 upgrade --no-self-upgrade "$@" \
      $(for word in $wanted; do printf '%s\n' "${word%%=*}"; done) </dev/null
  else
    apk --no-progress --cache-max-age 1000000 --wait 120 add "$@" $wanted </dev/null
  fi
}
wanted=$*

# What is not in the plan must not happen: each step of the simulation is looked up in it.
simulation=$(change --simulate 2>&1) || { printf '%s\n' "$simulation"; exit 73; }
surprise=$(printf '%s\n' "$simulation" | sed -n 's/^([0-9 ]*\/[0-9 ]*) //p' | while IFS= read -r step; do
  version=${step##*[ (]}
  version=${version%)}
  name=${step#* }
  name=${name%% *}
  name=${name%%@*}
  case "$step" in Purging*) echo "$step" && continue ;; esac
  case " $wanted " in *" $name=$version "*) ;; *) echo "$step" ;; esac
done)
[ -z "$surprise" ] || { printf 'error: not in the plan: %s\n' "$surprise"; exit 71; }

# A host that runs from memory forgets its packages at the next boot, unless lbu saves them: with
# them everything an administrator has not saved yet would be saved.
diskless=no
if command -v lbu >/dev/null && [ "$(df -P / | awk 'NR == 2 { print $1 }')" = tmpfs ]; then
  diskless=yes
  [ -z "$(lbu status)" ] || { echo "error: lbu status shows changes that are not saved"; exit 74; }
fi

fresh_files() { find "$R/etc" -xdev -name '*.apk-new' -exec cksum {} + 2>/dev/null; }
known=$(fresh_files)
world=$(cat "$R/etc/apk/world")
change
rc=$?

# The versions that were asked for are no pins: they would hold their packages for ever.
if [ "$direction" = back ]; then
  printf '%s\n' "$world" >"$R/etc/apk/world.wavemend" &&
    mv "$R/etc/apk/world.wavemend" "$R/etc/apk/world"
fi

fresh_files | while read -r sum size fresh; do
  case "$known" in *"$sum $size $fresh"*) continue ;; esac
  edited=${fresh%.apk-new}
  if [ "$conffiles" = replace ]; then
    mv -f "$edited" "$edited.apk-old" && mv -f "$fresh" "$edited" &&
      echo "the package's ${edited#"$R"} came in, the host's own is ${edited#"$R"}.apk-old"
  else
    owner=$(apk info --who-owns "$edited" 2>/dev/null | sed -n 's/.* is owned by \(.*\)-[^-]*-r[0-9]*$/\1/p')
    printf 'wavemend-kept %s %s\n' "${owner:--}" "${edited#"$R"}"
  fi
done

if [ "$diskless" = yes ] && ! lbu commit; then exit 76; fi
exit "$rc"
