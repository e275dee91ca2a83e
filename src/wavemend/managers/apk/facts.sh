# What wavemend asks an Alpine host, in one round trip: comes after reading/frame.sh. For busybox.
# Reads only; with <refresh seconds> above 0 the package index, a cache, is renewed first.
package_arch() { apk --print-arch; }

refresh_index() { timeout -k 10 "$refresh" apk update --no-progress --wait 60; }

# From the database itself: only there stands what a script or a file left broken.
packages() {
  awk -F : '
    function out() { if (p != "") print p "\t" v "\t" a "\t" o "\t" f; p = v = a = o = f = "" }
    $0 == "" { out() }
    $1 == "P" { p = substr($0, 3) }
    $1 == "V" { v = substr($0, 3) }
    $1 == "A" { a = substr($0, 3) }
    $1 == "o" { o = substr($0, 3) }
    $1 == "f" { f = substr($0, 3) }
    END { out() }' "$installed_db"
}

# The index is not renewed by the way: a look without a refresh shows what the last one found.
quietly() { apk --no-progress --cache-max-age 1000000 "$@"; }
upgradable() { quietly list --upgradable; }
simulated() { quietly upgrade --simulate --no-self-upgrade; }

# A fcntl lock and an open file; busybox' find cannot search by the target of a link.
lock() {
  ls -l "$R"/proc/[0-9]*/fd 2>/dev/null | awk -v lock="${installed_db%/installed}/lock" '
    /^\/.*:$/ { n = split($0, part, "/"); pid = part[n - 1] }
    $NF == lock { print pid }' | sort -u | while IFS= read -r pid; do
    grep -q " WRITE *$pid " "$R/proc/locks" 2>/dev/null || continue
    elsewhere "$pid" && continue
    printf '%s %s\n' "$pid" "$(first_line "$R/proc/$pid/comm")"
  done
}

repositories() { grep -v '^ *\(#.*\)\?$' "$R"/etc/apk/repositories "$R"/etc/apk/repositories.d/*.list 2>/dev/null; }

kernels() {
  for modules in "$R"/lib/modules/*/modules.dep; do
    [ -e "$modules" ] || continue
    release=${modules%/modules.dep}
    release=${release##*/}
    printf '%s linux-%s\n' "$release" "${release##*-}"
  done
}

rivals() {
  grep -HxE 'apk-autoupdate|apk-cron|packagekitd' "$R"/proc/[0-9]*/comm 2>/dev/null
  for daily in "$R"/etc/periodic/*/apk* "$R"/etc/periodic/*/*autoupdate*; do
    [ ! -x "$daily" ] || echo "${daily#"$R"}"
  done
}

installed_db="$R/lib/apk/db/installed"
[ -e "$installed_db" ] || installed_db="$R/usr/lib/apk/db/installed"

about_host
section lock lock
[ "$refresh" -eq 0 ] || section refresh refresh_index
section repositories repositories
section packages packages
section world cat "$R/etc/apk/world"
section upgradable upgradable
section simulated simulated
# What each update needs beside itself: apk says it only of one at a time.
for name in $(printf '%s\n' "$out" | sed -n "/^$N /d; s/^([0-9 ]*\/[0-9 ]*) Upgrading \([^ @]*\).*/\1/p"); do
  section "alone-$name" quietly upgrade --simulate --no-self-upgrade "$name"
done
section kernels kernels
section replaced replaced_files
section rivals rivals
finish
