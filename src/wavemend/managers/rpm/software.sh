# What wavemend asks any host with RPM: comes after reading/frame.sh, before the manager's own.
# Reads only.

package_arch() { uname -m; }

packages() {
  # RPM before 4.14 knows no modules, and refuses a tag that it does not know.
  module='(none)'
  if rpm --querytags | grep -qx MODULARITYLABEL; then module='%{MODULARITYLABEL}'; fi
  rpm -qa --qf "%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{INSTALLTIME}\t$module\n"
}

# What the host's configuration lets lie side by side, besides what every host does.
declared_beside() (
  set +f
  cat "$R"/etc/dnf/libdnf5.conf.d/*.conf "$R"/etc/dnf/dnf.conf "$R"/etc/yum.conf \
    "$R"/etc/zypp/zypp.conf 2>/dev/null | awk '
    /^[ \t]*(#|$)/ { next }
    /^[^ \t]/ { on = /^(installonlypkgs|multiversion)[ \t]*=/; sub(/^[^=]*=/, "") }
    on'
  sed 's/#.*//' "$R"/etc/zypp/multiversion.d/* 2>/dev/null
)

# Packages of which several versions lie side by side on purpose.
install_only() {
  {
    printf '%s\n' 'installonlypkg(kernel)' 'installonlypkg(kernel-module)' 'installonlypkg(vm)' \
      'multiversion(kernel)'
    declared_beside | tr -s ' \t,' '\n' | sed 's/^provides://'
  } | sed '/^$/d' | sort -u | while IFS= read -r what; do
    rpm -q --qf '%{NAME}\n' --whatprovides "$what" </dev/null
  done | sed '/ /d' | sort -u
}

# Files whose lock is a running transaction, and files with the number of the process that works.
RPM_LOCKS="/var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock /run/dnf/rpmtransaction.lock"
RPM_PIDS="/var/lib/dnf/rpmdb_lock.pid /run/yum.pid /var/run/yum.pid /run/zypp.pid /var/run/zypp.pid"

rpm_lock() {
  lock_holders $RPM_LOCKS
  for file in $RPM_PIDS; do
    pid=$(cat "$R$file" 2>/dev/null) || continue
    case $pid in '' | *[!0-9]*) continue ;; esac
    [ ! -d "$R/proc/$pid" ] || printf '%s %s\n' "$pid" "$(first_line "$R/proc/$pid/comm")"
  done
}

rivals() {
  find "$R/etc/systemd/system" -path '*.wants/*' \( -name 'dnf-automatic*' -o \
    -name 'dnf5-automatic*' -o -name 'yum-cron*' -o -name 'transactional-update.timer' -o \
    -name 'os-update.timer' \) -type l 2>/dev/null | sed 's,.*/,enabled ,'
  for file in /etc/dnf/automatic.conf /etc/dnf/dnf5-plugins/automatic.conf /etc/yum/yum-cron.conf; do
    sed -n 's/^ *apply_updates *= *\([A-Za-z0-9]*\).*/applies \1/p' "$R$file" 2>/dev/null
  done
  for file in "$R"/etc/cron.*/opensuse.org-online_update; do
    [ ! -e "$file" ] || echo "enabled online_update (cron)"
  done
  # What runs now: `/proc/<pid>/comm` is cut to 15 letters.
  grep -HxE 'packagekitd|dnf-automatic|yum-cron|yum-updatesd|transactional-u.*' \
    "$R"/proc/[0-9]*/comm 2>/dev/null | sed -n 's,.*/proc/\([0-9]*\)/comm:\(.*\),running \2 (\1),p'
}

# While somebody changes packages no more is asked: the tools would wait for them, each for itself.
free_to_ask() {
  for _ in 1 2 3; do
    holders=$(rpm_lock)
    [ -n "$holders" ] || return 0
    sleep 3
  done
  return 1
}

about_rpm() {
  free_to_ask && free=yes || free=
  section lock printf '%s' "$holders"
  section packages packages
  section install-only install_only
  section services replaced_files
  section rivals rivals
}
