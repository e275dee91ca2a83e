# Finish what a cut transaction left: comes after rpm/changing.sh and the manager's `reinstall`.
#
# A cut transaction leaves the old and the new version in RPM's database. What it had not come to
# is the clean-up of the old one, and `rpm -e` of exactly that build is that clean-up: scripts see
# that another version stays, files of the newer one are left alone. Which of the two was to stay
# is said by the time it came in, not by its version: a cut downgrade is finished as one. Then the
# ones that stay are installed once more, so that no file is half written and every script has run.
# Nothing else is brought in, and no version changes.

# Lines `<old|stays> <name-version-release.arch>` of packages that are there twice.
duplicates() {
  install_only | sed 's/^/beside\t/'
  # The instance in the database tells two apart that came in within one second.
  rpm -qa --qf '%{NAME}.%{ARCH}\t%{INSTALLTIME}\t%{NAME}\t%{VERSION}-%{RELEASE}\t%{DBINSTANCE}\n' |
    sort -t "$(printf '\t')" -k1,1 -k2,2nr -k5,5nr
}

sort_out() {
  awk -F '\t' '
    $1 == "beside" { beside[$2] = 1; next }
    $3 in beside || $3 ~ /^gpg-pubkey$|^kernel($|-)/ { next }
    { arch = substr($1, length($3) + 2); build = $3 "-" $4 "." arch }
    $1 == key { if (!told) print "stays", newest; told = 1; print "old", build; next }
    { key = $1; newest = build; told = 0 }'
}

mend() {
  set -f # packages' names are data, not patterns
  found=$(duplicates | sort_out)
  bad=0
  for build in $(printf '%s\n' "$found" | sed -n 's/^old //p'); do
    echo "wavemend-erases $build"
    rpm -e "$build" || bad=1
  done
  set -- $(printf '%s\n' "$found" | sed -n 's/^stays //p') $(unfinished)
  [ "$#" -eq 0 ] || reinstall "$@" || bad=1
  [ -z "$(duplicates | sort_out)" ] || bad=1
  return "$bad"
}

when_free mend
