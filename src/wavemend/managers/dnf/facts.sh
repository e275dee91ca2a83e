# What wavemend asks a host with dnf or yum: comes after rpm/software.sh and tool.sh. Reads only;
# with <refresh seconds> above 0 the index, a cache, is renewed first.

# Whatever keeps updates away, a repository of higher priority among it: 99 is everybody's default.
case $tool in
  dnf5) unlocked='--setopt=disable_excludes=* --setopt=*.priority=99' ;;
  dnf4) unlocked='--disableplugin=versionlock --disableexcludes=all --setopt=*.priority=99' ;;
  *) unlocked='--disableplugin=versionlock --disableexcludes=all' ;;
esac

refresh_index() {
  # Ending it is harmless: it only fetches, and the old index stays when it fails.
  case $tool in
    yum)
      yum -q clean expire-cache
      timeout -k 10 "$refresh" yum -q makecache fast "$STRICT" "$@" ;;
    *) timeout -k 10 "$refresh" "$dnf" -q makecache --refresh "$STRICT" "$@" ;;
  esac
}

repolist() {
  case $tool in
    yum) ask -q repolist enabled ;;
    *) ask -q repolist --enabled ;;
  esac
}

repo_settings() {
  cat "$R"/etc/yum.conf "$R"/usr/share/dnf5/libdnf.conf.d/*.conf "$R"/etc/dnf/libdnf5.conf.d/*.conf \
    "$R"/etc/dnf/dnf.conf "$R"/etc/yum.repos.d/*.repo "$R"/etc/distro.repos.d/*.repo \
    "$R"/usr/share/dnf5/repos.d/*.repo "$R"/etc/dnf/repos.override.d/*.repo 2>/dev/null |
    grep -E '^ *(\[|enabled *=|((repo|pkg)_)?gpgcheck *=)'
}

updates() { ask -q "$@" check-update; }

advisories() {
  case $tool in
    dnf5) ask -q $unlocked advisory list "$@" ;;
    yum) ask -q $unlocked updateinfo list "${@:+cves}" ;;
    *) ask -q $unlocked updateinfo list "$@" ;;
  esac
}

# The names that a transaction brings in because others need them.
dependencies() {
  awk '
    /^[^ ]/ { on = /^Installing (for )?dependencies/; next }
    on && /^ [^ ]/ { print $1 }'
}

# Updates that are listed, and not among those that come without any other package.
not_plain() {
  awk '
    function take(row, word, dot) {
      if (split(row, word, " ") < 3 || !(dot = match(word[1], /\.[a-z0-9_]+$/))) return
      sub(/^0:/, "", word[2])
      listed[++count] = substr(word[1], 1, dot - 1) "-" word[2] substr(word[1], dot)
    }
    !plain && !/^ / { if (!done) take(row); row = "" }
    /^--- plain/ { plain = 1; section = ""; next }
    !plain && /^Obsoleting/ { done = 1 }
    !plain { row = row $0 } # yum and dnf4 break long lines, once or twice
    plain && /^[^ ]/ { section = $1 }
    plain && /^ [^ ]/ && NF < 3 { kept = $0; next }
    plain && /^  / && kept != "" { $0 = kept $0; kept = "" }
    plain && /^ [^ ]/ && (section == "Upgrading:" || section == "Updating:" || section == "Installing:") {
      sub(/^0:/, "", $3); taken[$1 "-" $3 "." $2] = 1
    }
    END { for (i = 1; i <= count; i++) if (!(listed[i] in taken)) print listed[i] }'
}

# What one update would bring and remove. Only said: nothing that removes is ever done.
alone() {
  case $tool in
    yum) simulate install "$1" ;;
    *) simulate install --allowerasing "$1" ;;
  esac
}

last_transaction() {
  case $tool in
    yum) ;;
    *) timeout -k 10 60 "$dnf" history info last ;;
  esac
}

needs_restart() {
  case $tool in
    yum) timeout -k 10 120 needs-restarting -r ;;
    # Without $STRICT: dnf5 then misses advisories of repositories that have none.
    *) timeout -k 10 120 "$dnf" -C needs-restarting -r ;;
  esac
}

renew() {
  [ "$refresh" -gt 0 ] || return 0
  section refresh refresh_index
  case $out in *" end refresh 0") return 0 ;; esac
  # Which ones are not to be had: asked one by one, believed by the exit status.
  for repo in $(repolist | sed -n '/^repo id/d; s/^[!*]*\([A-Za-z0-9_.:-]*\)[/ ].*/\1/p'); do
    section "refresh $repo" refresh_index --disablerepo='*' --enablerepo="$repo"
  done
}

# Each question costs a second: an up-to-date host is asked no more than the first.
pending() {
  section updates-unlocked updates $unlocked
  case $out in *" end updates-unlocked 100") ;; *) return 0 ;; esac
  section updates updates
  listed=$out
  section advisories advisories
  section cves advisories --with-cve
  section upgrade simulate upgrade
  new=$(printf '%s\n' "$out" | dependencies | sort -u | paste -s -d, -)
  [ -z "$new" ] || section plain simulate upgrade --exclude="$new"
  kept=$({ printf '%s\n' "$listed"; echo '--- plain'; printf '%s\n' "$out"; } | not_plain | head -n 8)
  set -f # packages' names are data, not patterns
  for nevra in $kept; do section "alone $nevra" alone "$nevra"; done
  set +f
}

about_host
about_rpm
section tool echo "$tool"
section repo-settings repo_settings
if [ -n "$free" ]; then
  renew
  pending
  section last-transaction last_transaction
  section needs-restarting needs_restart
fi
finish
