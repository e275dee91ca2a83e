# Is a service up? Argument: its name. Exit status 0: yes; 90: nobody here knows; else: no.
# The words of the host's init explain, they decide nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
R="${WAVEMEND_ROOT:-}"
case $1 in
  '' | -* | */*)
    echo "it is no name of a service" >&2
    exit 91
    ;;
esac
if [ -d "$R/run/systemd/system" ]; then
  systemctl is-active -- "$1" </dev/null
elif [ -d "$R/run/openrc" ] && command -v rc-service >/dev/null; then
  rc-service "$1" status </dev/null
elif [ -x "$R/etc/init.d/$1" ]; then
  "$R/etc/init.d/$1" status </dev/null
else
  echo "this host has no systemd, no OpenRC and no /etc/init.d/$1" >&2
  exit 90
fi
