# Bring packages to exact versions: comes after reading/frame.sh and changing.sh. Arguments: which of
# two configuration files stays (old, new), and then apt-get's own arguments, all of them.
# The exit status is apt-get's. Runs detached (execution/job_runner.sh): no terminal, no stdin.
case $1 in
  new) export UCF_FORCE_CONFFNEW=1 ;;
  *) export UCF_FORCE_CONFFOLD=1 ;;
esac
shift

wait_for_downloads
stamp=$(mktemp) || stamp=
apt-get "$@" </dev/null
rc=$?

# Files of these names were laid beside a configuration file just now. Compared by change time:
# their modification time is that of the package's build, or of the administrator's edit.
beside() {
  find "$R/etc" -xdev \( -name "*.dpkg-$2" -o -name "*.ucf-$2" \) -cnewer "$stamp" |
    while IFS= read -r fresh; do
      path=${fresh%.*}
      owner=$(dpkg-query -S "${path#"$R"}" 2>/dev/null) || owner=-
      printf 'wavemend-%s %s %s\n' "$1" "${owner%%:*}" "${path#"$R"}"
    done
}

# Last in the log, where a bounded reader still sees it.
if [ -n "$stamp" ]; then
  beside kept dist
  beside replaced old
  rm -f "$stamp"
fi
exit "$rc"
