# Bring packages to exact versions: comes after reading/frame.sh and changing.sh. Arguments: which of
# two configuration files stays (old, new), and then apt-get's own arguments, all of them.
# The exit status is apt-get's, or 72 = it would do something else than planned. Runs detached
# (execution/job_runner.sh): no terminal, no stdin.
case $1 in
  new) export UCF_FORCE_CONFFNEW=1 ;;
  *) export UCF_FORCE_CONFFOLD=1 ;;
esac
shift

wait_for_downloads

# What is not in the plan must not happen: hooks and waits lie between the rehearsal and now, and
# others work meanwhile. What apt-get refuses altogether it says again below.
beyond_plan() {
  apt-get -s -oDebug::NoLocking=true "$@" </dev/null 2>/dev/null |
    grep -E '^(Inst|Remv|Purg) ' | while IFS= read -r step; do
    word=$(printf '%s\n' "$step" |
      sed -n 's/^Inst \([^ :]*\)[^ ]*\( \[[^]]*]\)\{0,1\} (\([^ )]*\) .*\[\([^] ]*\)]).*/\1:\4=\3/p')
    case " $* " in *" ${word:-no word} "*) ;; *) printf '%s; ' "$step" ;; esac
  done
}

surprise=
case " $* " in
  *" -oAPT::Get::Allow-Downgrades=true "*) ;; # going back may need what the update had replaced
  *) surprise=$(beyond_plan "$@") ;;
esac
if [ -n "$surprise" ]; then
  echo "E: not in the plan, so nothing was begun: $surprise"
  exit 72
fi

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
