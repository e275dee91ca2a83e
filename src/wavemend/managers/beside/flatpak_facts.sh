# What wavemend asks about a host's flatpaks, in one round trip: comes after reading/frame.sh.
# The system's installation only: what people installed for themselves is theirs.
shift 2

pak() { flatpak --system "$@"; }
# Without a refresh what was last heard of a remote is enough, if anything was.
ask() {
  verb=$1
  shift
  if [ "$refresh" -eq 0 ]; then pak "$verb" --cached "$@" 2>/dev/null && return; fi
  timeout -k 10 120 flatpak --system "$verb" "$@"
}

commits() {
  for ref in $refs; do printf '%s %s\n' "$ref" "$(pak info --show-commit "$ref")" || return; done
}
listed() { ask remote-ls --updates --all --columns=ref:f,version "$1"; }
offers() {
  for ref in $(printf '%s\n' "$updates" | cut -f 1); do
    said=$(ask remote-info --show-commit --show-runtime "$1" "$ref") || return
    printf '%s %s\n' "$ref" "$said"
  done
}

if command -v flatpak >/dev/null; then
  section remotes pak remotes --columns=name,options
  remotes=$(printf '%s\n' "$out" | sed -n "/^$N /d; s/^\([^	 ]*\)	.*/\1/p")
  section refs pak list --all --columns=ref:f,origin,version
  refs=$(printf '%s\n' "$out" | sed -n "/^$N /d; s/^\([^	 ]*\/[^	 ]*\)	.*/\1/p")
  section commits commits
  section masks pak mask
  for remote in $remotes; do
    section "updates-$remote" listed "$remote"
    updates=$(printf '%s\n' "$out" | sed -n "/^$N /d; /\//p")
    section "offers-$remote" offers "$remote"
  done
fi
finish
