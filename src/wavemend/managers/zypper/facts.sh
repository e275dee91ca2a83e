# What wavemend asks a SUSE host: comes after rpm/software.sh. Reads only; with <refresh seconds>
# above 0 the index, a cache, is renewed first.

# zypper locks even to look, as PackageKit does all day.
export ZYPP_LOCK_TIMEOUT=30

refresh_index() { timeout -k 10 "$refresh" zypper -n refresh "$@"; }

# Ask from the cache alone.
ask() { timeout -k 10 90 zypper -n --no-refresh "$@"; }

# The same in XML, without what packages and patches say of themselves: pages for each of them.
tell() {
  said=$(ask --xmlout "$@")
  rc=$?
  printf '%s\n' "$said" | awk '
    {
      line = $0
      for (;;) {
        if (inside) {
          end = index(line, "</description>")
          if (!end) { line = ""; break }
          line = substr(line, end + 14)
          inside = 0
        }
        start = index(line, "<description>")
        if (!start) break
        printf "%s", substr(line, 1, start - 1)
        line = substr(line, start + 13)
        inside = 1
      }
      if (line != "") print line
    }'
  return "$rc"
}

# What one update would bring and remove. Only said: nothing that removes is ever done.
alone() {
  ask --xmlout install --dry-run --no-recommends --force-resolution --name "$1"
}

# Names of packages that need one which a plain update would newly bring in.
needing() {
  for new in $(printf '%s\n' "$1" | sed -n '/<to-install>/,/<\/to-install>/p' |
    sed -n 's/^<solvable .* name="\([^"]*\)".*/\1/p' | head -n 8); do
    ask --xmlout search --requires-pkg "$new"
  done | sed -n 's/^<solvable .* name="\([^"]*\)".*/\1/p' | sort -u
}

# Updates that need a closer look, `name.arch=version`: those that only `--all` lists, and those
# that need a new package.
not_plain() {
  awk -v needing="$2" '
    BEGIN { n = split(needing, name, " "); for (i = 1; i <= n; i++) wanted[name[i]] = 1 }
    /^--- all/ { all = 1; next }
    {
      row = ""
      while (match($0, /<update [^>]*kind="package"[^>]*>/)) {
        row = substr($0, RSTART, RLENGTH)
        $0 = substr($0, RSTART + RLENGTH)
        word = value(row, "name") "." value(row, "arch") "=" value(row, "edition")
        if (!all) plain[word] = 1
        if (all && (!(word in plain) || value(row, "name") in wanted)) print word
      }
    }
    function value(row, key) {
      match(row, " " key "=\"[^\"]*\"")
      return substr(row, RSTART + length(key) + 3, RLENGTH - length(key) - 4)
    }' <<END
$1
END
}

patch_infos() {
  set -f # patches' names are data, not patterns
  said=$(ask patch-info $patches)
  rc=$?
  set +f
  printf '%s\n' "$said" | awk '
    /^Name +: / { print; next }
    /^[^ ]/ { inside = /^Conflicts +: / }
    inside'
  return "$rc"
}

renew() {
  [ "$refresh" -gt 0 ] || return 0
  section refresh refresh_index
  case $out in *" end refresh 0") return 0 ;; esac
  # Which ones are not to be had: asked one by one, believed by the exit status.
  for repo in $(ask --xmlout repos -E | sed -n 's/^<repo alias="\([A-Za-z0-9_.:-]*\)".*/\1/p'); do
    section "refresh $repo" refresh_index "$repo"
  done
}

pending() {
  section updates-all tell list-updates --all
  all=$out
  case $all in *'kind="package"'*) ;; *) return 0 ;; esac
  section updates tell list-updates
  listed=$out
  section locks tell locks
  section patches tell list-patches
  patches=$(printf '%s\n' "$out" | sed 's/<update /\n&/g' | sed -n '/^<update [^>]*kind="patch"/s/^<update [^>]*name="\([^"]*\)".*/\1/p' | sort -u)
  [ -z "$patches" ] || section patch-infos patch_infos
  section update tell update --dry-run --no-recommends
  kept=$(not_plain "$listed
--- all
$all" "$(needing "$out" | tr '\n' ' ')" | head -n 8)
  set -f # packages' names are data, not patterns
  for word in $kept; do section "alone $word" alone "$word"; done
  set +f
}

about_host
about_rpm
if [ -n "$free" ]; then
  section repositories tell repos -d
  renew
  pending
  section needs-rebooting ask needs-rebooting
fi
finish
