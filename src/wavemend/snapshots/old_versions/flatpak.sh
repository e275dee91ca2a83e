# Say of each flatpak whether its remote still has that commit, where its undo takes it from.
# Arguments: name, architecture (flatpak/<arch>/<branch>) and commit, three per flatpak. Prints
# `yes` or `no` for each, in their order. Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=

on_remote() {
  ref=$1/${2#flatpak/}
  origin=$(flatpak --system info --show-origin "$ref" 2>/dev/null) || return
  timeout -k 5 60 flatpak --system remote-info --show-commit --commit="$3" "$origin" "$ref" \
    </dev/null >/dev/null 2>&1
}

while [ "$#" -ge 3 ]; do
  if on_remote "$@"; then echo yes; else echo no; fi
  shift 3
done
