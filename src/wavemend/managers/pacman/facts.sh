# What wavemend asks an Arch host, in one round trip: comes after reading/frame.sh and shared.sh.
# Reads only; with <refresh seconds> above 0 our copy of the sync databases is renewed first.
package_arch() { uname -m; }

settings() { pacman-conf; }

refresh_index() {
  # Ending pacman here is harmless: it only fetches, and keeps the old database when it fails.
  limit="timeout -k 10 $refresh"
  offers -Sy
}

# A database that is not there reads as a repository with nothing in it.
missing() {
  for name in $(pacman-conf --repo-list); do [ -e "$copy/sync/$name.db" ] || echo "$name"; done
}

# Entries that a cut-off transaction left without their description or list of files.
half() {
  for entry in "$db"/local/*/ "$aside"/*/; do
    [ -s "$entry/desc" ] && [ -e "$entry/files" ] || [ ! -d "$entry" ] || basename "$entry"
  done
}

# What a whole upgrade would bring, replacements and new dependencies included.
whole() { offers -Sup --print-format '%r %n %v %s'; }

lock() {
  [ -e "$db/db.lck" ] || return 0
  owners=$(lock_owners)
  printf '%s\n' "${owners:-left behind}"
}

kernels() {
  for base in "$R"/usr/lib/modules/*/pkgbase; do
    [ -e "$base" ] || continue
    release=${base%/pkgbase}
    printf '%s %s\n' "${release##*/}" "$(cat "$base")"
  done
}

rivals() {
  grep -HxE 'packagekitd|pamac-daemon|pamac|yay|paru' "$R"/proc/[0-9]*/comm 2>/dev/null || :
}

about_host
section settings settings
section lock lock
section copy open_copy
[ "$refresh" -eq 0 ] || section refresh refresh_index
section missing missing
section installed installed
section half half
section upgradable upgradable
names=$(printf '%s\n' "$out" | sed -n "/^$N /d; s/^\([^ ]*\) [^ ]* -> .*/\1/p")
section whole whole
names="$names $(printf '%s\n' "$out" | sed -n "/^$N /d; s/^[^ :]* \([^ ]*\) [^ ]* [0-9]*\$/\1/p")"
[ -z "${names# }" ] || section offered offered $names
section kernels kernels
section replaced replaced_files
section rivals rivals
close_copy
finish
