# How dnf and yum install once more what is there: comes before rpm/repair.sh.
echo "wavemend-tool $tool"
reinstall() { "$dnf" -y --setopt=exit_on_lock=True "$STRICT" "$AS_SEEN" reinstall "$@" </dev/null; }

# Packages of a transaction whose end was never written down, as far as they are installed.
unfinished() {
  [ "$tool" != yum ] || return 0
  "$dnf" history info last 2>/dev/null | awk '
    /^End rpmdb *: *\*\*/ || /^Status *: *Started/ { cut = 1 }
    !cut { next }
    { i = ($1 == "**") ? 3 : 2 }
    $(i - 1) ~ /^(Install|Upgrade|Upgraded|Downgrade|Downgraded|Reinstall|Reinstalled|Replaced)$/ { print $i }' |
    sed 's/-0:/-/' | sort -u | while IFS= read -r build; do
    ! rpm -q "$build" >/dev/null 2>&1 || echo "$build"
  done
}
