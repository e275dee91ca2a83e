# What is asked of a host with a declared manager: comes after reading/frame.sh and words.sh.
# Reads only. Arguments beyond the frame's: <manager>, then for each command <section> and what
# `first` takes.
manager=$3
shift 3
written=/var/lib # the job's own place: what the declared commands write to, nobody knows

package_arch() { uname -m; }

# What apply.sh noted in this boot: a step ended with a code that asks for a restart.
asked_for_restart() {
  [ -e "$R/run/wavemend/restart-$manager" ] || return 0
  noted=$(first_line "$R/run/wavemend/restart-$manager")
  [ "$noted" != "$(first_line "$R/proc/sys/kernel/random/boot_id")" ] ||
    echo "a step of the change asked for a restart"
}

about_host
section restart asked_for_restart
while [ $# -gt 0 ]; do
  part=$1
  shift
  section "$part" first "$@"
  shift $((3 + $3))
done
finish
