# Install again what a transaction left broken. No arguments. The exit status is apk's. For busybox.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=
cd / || exit 1
apk --no-progress --wait 120 fix </dev/null
