# How zypper installs once more what is there: comes before rpm/repair.sh. Its history is a log, not
# a state: what was cut is told by RPM's database alone.
export ZYPP_LOCK_TIMEOUT=$LOCK_SECONDS
unfinished() { :; }
reinstall() {
  words=
  for build in "$@"; do
    words="$words $(rpm -q --qf '%{NAME}.%{ARCH}=%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} ' "$build")"
  done
  zypper -n --no-refresh install --no-recommends --no-force-resolution --force --name -- $words </dev/null
}
