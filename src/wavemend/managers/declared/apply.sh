# Run the declared steps of a change, one after the other, as a detached job: comes after words.sh.
# Arguments: <manager> <codes to go on after> <codes that ask for a restart>, then for each step
# what `first` takes. The exit status is that of the step that stopped it; else of the one that asked
# for a restart; else of the last one.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
R="${WAVEMEND_ROOT:-}"
cd / || exit 1
manager=$1 go_on=$2 restart=$3
shift 3

# Facts name it until the next boot: only there is it known whether that boot has come.
note_restart() {
  mkdir -p "$R/run/wavemend" &&
    cat "$R/proc/sys/kernel/random/boot_id" >"$R/run/wavemend/restart-$manager"
}

number=0 answer='' rc=0
while [ $# -gt 0 ]; do
  number=$((number + 1))
  printf 'wavemend: step %s: %s\n' "$number" "$4"
  first "$@" </dev/null
  rc=$?
  printf 'wavemend: step %s ended with %s\n' "$number" "$rc"
  case " $restart " in *" $rc "*) note_restart || exit 1; answer=$rc ;; esac
  case " $go_on " in *" $rc "*) ;; *) exit "$rc" ;; esac
  shift $((3 + $3))
done
exit "${answer:-$rc}"
