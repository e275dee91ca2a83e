# Which of its three generations the host has: `dnf` is dnf5 from Fedora 41 on, RHEL 7 has only yum.
if command -v dnf >/dev/null; then
  dnf=dnf
  case $(readlink -f "$(command -v dnf)") in *dnf5) tool=dnf5 ;; *) tool=dnf4 ;; esac
elif command -v dnf5 >/dev/null; then
  dnf=dnf5 tool=dnf5
elif command -v yum >/dev/null; then
  dnf=yum tool=yum
else
  dnf=false tool=none
fi

# A repository that cannot be had is an error, whatever its own settings say: "nothing to do" must
# never mean "nothing could be asked".
STRICT='--setopt=*.skip_if_unavailable=False'
# An index as old as it is: what was rehearsed is resolved from the same data as what is done.
AS_SEEN='--setopt=*.metadata_expire=-1'
WEAK='--setopt=install_weak_deps=False'
# One update that cannot come must not keep the others back; exact versions have no second best.
BEST='--setopt=best=False'
if [ "$tool" = yum ]; then WEAK=$STRICT BEST=$STRICT; fi # it knows neither

# Ask from the cache alone.
ask() { timeout -k 10 90 "$dnf" -C "$STRICT" "$@"; }
# Say what would be done. Without -q, which hides dnf4's table.
simulate() { ask "$WEAK" "$BEST" --assumeno "$@"; }
