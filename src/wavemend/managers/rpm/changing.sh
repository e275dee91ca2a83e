# What every job above RPM shares: comes after reading/frame.sh and rpm/software.sh.
# Arguments of the whole job: - 0 <keep|replace> <list|restart> ..., the first two for frame.sh.
shift 2
conffiles=$1 services=$2
shift 2

LOCK_SECONDS=120
LOCKED=200 # dnf's own number for it; used for all of them

# Run a command when nobody else changes packages, at latest after LOCK_SECONDS; names the holder.
when_free() {
  left=$LOCK_SECONDS
  while :; do
    rc=$LOCKED
    holder=$(rpm_lock | head -n 3 | tr '\n' ';')
    if [ -z "$holder" ]; then
      "$@" </dev/null
      rc=$?
    fi
    [ "$rc" -eq "$LOCKED" ] && [ "$left" -gt 0 ] || break
    sleep 5
    left=$((left - 5))
  done
  [ "$rc" -ne "$LOCKED" ] || printf 'wavemend-locked %s\n' "${holder:-somebody was faster}"
  return "$rc"
}

# Configuration files that the transaction kept or replaced: last in the log, where a bounded
# reader still sees them. Compared by change time: their modification time is the package's.
tell_conffiles() {
  find "$R/etc" -xdev \( -name '*.rpmnew' -o -name '*.rpmsave' -o -name '*.rpmorig' \) \
    -cnewer "$1" | while IFS= read -r fresh; do
    file=${fresh%.*}
    owner=$(rpm -qf --qf '%{NAME}\n' "${file#"$R"}" 2>/dev/null) && owner=${owner%%"
"*} || owner=-
    case $fresh in
      *.rpmnew)
        if [ "$conffiles" = replace ] &&
          cp -p "$file" "$file.rpmsave" && mv -f "$fresh" "$file"; then
          printf 'wavemend-replaced %s %s\n' "$owner" "${file#"$R"}"
        else
          printf 'wavemend-kept %s %s\n' "$owner" "${file#"$R"}"
        fi ;;
      *) printf 'wavemend-replaced %s %s\n' "$owner" "${file#"$R"}" ;;
    esac
  done
}

# Scripts that failed, once more: of a long log only the end is read back, and the tools end with 0.
tell_failed_scripts() {
  [ -f "/proc/$$/fd/1" ] || return 0
  # Through a pipe: grep refuses to read the file that it writes to.
  grep -a '%[a-z]*([^()]*) scriptlet failed, ' "/proc/$$/fd/1" | tail -n 100
}

# What a session, the machine itself or this job hangs on is never restarted: that needs a reboot.
restart_services() {
  [ "$services" = restart ] && [ -d "$R/run/systemd/system" ] || return 0
  replaced_files | while IFS= read -r unit; do
    case $unit in
      dbus* | systemd-* | user@* | getty@* | serial-getty@* | *dm.service | wavemend-*) ;;
      *.service) systemctl try-restart "$unit" </dev/null || echo "wavemend-not-restarted $unit" ;;
    esac
  done
}

# Run the transaction, then say what became of files and services. The exit status is the command's.
change() {
  stamp=$(mktemp) || stamp=
  when_free "$@"
  rc=$?
  if [ "$rc" -ne "$LOCKED" ]; then
    tell_failed_scripts
    [ -z "$stamp" ] || tell_conffiles "$stamp"
    restart_services
  fi
  [ -z "$stamp" ] || rm -f "$stamp"
  return "$rc"
}
