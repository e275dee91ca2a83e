# Say what pacman would do for exact versions, and do nothing: comes after reading/frame.sh and
# shared.sh. Arguments: <nonce> 0, then name, version, architecture of each.
shift 2

# By the copy's lock and list of databases; with --print nothing is fetched, locked or changed.
plan() {
  [ -z "$from_repos" ] || offers -Sp --print-format 'step %n %v %s %l' -- $from_repos || return
  [ -z "$from_cache" ] || pacman -Up --noconfirm --color never --print-format 'step %n %v 0 %l' -- $from_cache
}

section copy open_copy
place "$@"
section absent printf '%s\n' $absent
section plan plan
section installed installed
section upgradable upgradable
names=$(printf '%s\n' "$out" | sed -n "/^$N /d; s/^\([^ ]*\) [^ ]* -> .*/\1/p")
[ -z "$names$from_repos" ] || section offered offered $names $from_repos
close_copy
finish
