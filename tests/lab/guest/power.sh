#!/bin/bash
# Stands in front of systemctl (and so of reboot, poweroff, halt and shutdown, which are links to
# it). Under systemd the real one runs; in the light profile power is what PID 1 does on a signal.
if [ -d /run/systemd/system ]; then
    exec -a "$0" /usr/bin/systemctl.distrib "$@"
fi

pending=/run/shutdown.pid

end() {
    case $1 in
    reboot) kill -s HUP 1 ;;
    *) kill -s INT 1 ;;
    esac
}

cancel() {
    [ ! -f "$pending" ] || kill "$(cat "$pending")" 2>/dev/null
    rm -f "$pending"
}

seconds_until() {
    case $1 in
    now | +0) echo 0 ;;
    +*) echo $((${1#+} * 60)) ;;
    *:*) echo $((($(date -d "$1" +%s) - $(date +%s) + 86400) % 86400)) ;;
    *) echo "Failed to parse time specification: $1" >&2 && return 1 ;;
    esac
}

schedule() {
    local what=poweroff when=+1 word
    for word in "$@"; do
        case $word in
        -r | --reboot) what=reboot ;;
        -h | -P | -H | --poweroff | --halt) what=poweroff ;;
        -c) cancel && exit 0 ;;
        -*) ;;
        *) when=$word && break ;;
        esac
    done
    local seconds
    seconds=$(seconds_until "$when") || exit 1
    [ "$seconds" -gt 0 ] || { end "$what" && exit; }
    cancel
    echo "Shutdown scheduled for $(date -d "+$seconds seconds"), use 'shutdown -c' to cancel."
    setsid bash -c 'echo $$ >"$1"; sleep "$2"; kill -s "$3" 1' \
        - "$pending" "$seconds" "$([ "$what" = reboot ] && echo HUP || echo INT)" \
        </dev/null >/dev/null 2>&1 &
}

service() {
    local unit=${2%.service}
    if [ -x "/etc/init.d/$unit" ]; then
        case $1 in
        is-active) "/etc/init.d/$unit" status >/dev/null && echo active || { echo inactive && exit 3; } ;;
        *) exec "/etc/init.d/$unit" "$1" ;;
        esac
    else
        exec /usr/bin/systemctl.distrib "$@"
    fi
}

case ${0##*/} in
reboot) end reboot ;;
poweroff | halt) end poweroff ;;
shutdown) schedule "$@" ;;
*)
    words=()
    for word in "$@"; do
        case $word in -*) ;; *) words+=("$word") ;; esac
    done
    case ${words[0]:-} in
    reboot | poweroff | halt) end "${words[0]}" ;;
    is-system-running) echo running ;;
    start | stop | restart | reload | status | is-active) service "${words[0]}" "${words[1]:-}" ;;
    *) exec /usr/bin/systemctl.distrib "$@" ;;
    esac
    ;;
esac
