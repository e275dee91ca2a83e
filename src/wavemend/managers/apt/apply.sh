# Bring packages to exact versions. Arguments: apt-get's own arguments, all of them.
# The exit status is apt-get's. Runs detached (execution/job_runner.sh): no terminal, no stdin.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8
R="${WAVEMEND_ROOT:-}"
# Nothing may ask. needrestart lists and restarts nothing: the profile decides about services.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
export UCF_FORCE_CONFFOLD=1
cd / || exit 1

stamp=$(mktemp) || stamp=
apt-get "$@" </dev/null
rc=$?

# Last in the log, where a bounded reader still sees it: configuration files that were kept.
# Compared by change time: their modification time is that of the package's build.
if [ -n "$stamp" ]; then
  find "$R/etc" -xdev \( -name '*.dpkg-dist' -o -name '*.ucf-dist' \) -cnewer "$stamp" |
    while IFS= read -r fresh; do
      kept=${fresh%.*}
      owner=$(dpkg-query -S "${kept#"$R"}" 2>/dev/null) || owner=-
      printf 'wavemend-kept %s %s\n' "${owner%%:*}" "${kept#"$R"}"
    done
  rm -f "$stamp"
fi
exit "$rc"
