"""Turns a host that has a POSIX sh into a simulated VyOS router; see vyos.sh."""

from importlib.resources import files

from wavemend.transport import Transport

PROGRAMS = (
    "/opt/vyatta/bin/vyatta-op-cmd-wrapper",
    "/usr/libexec/vyos/op_mode/image_info.py",
    "/usr/libexec/vyos/op_mode/image_installer.py",
    "/usr/libexec/vyos/op_mode/image_manager.py",
)

_INSTALL = """
set -e
prefix=$1 image=$2 state="${WAVEMEND_ROOT:-}/config/.simulated-vyos"
shift 2
mkdir -p "$prefix/usr/libexec/vyos" "$state/images/$image"
cat >"$prefix/usr/libexec/vyos/simulator"
chmod 755 "$prefix/usr/libexec/vyos/simulator"
for program; do
  mkdir -p "$prefix${program%/*}"
  ln -sf "$prefix/usr/libexec/vyos/simulator" "$prefix$program"
done
printf '%s\\n' "$image" >"$state/default"
boot=$(cat "${WAVEMEND_ROOT:-}/proc/sys/kernel/random/boot_id")
printf '%s %s\\n' "$boot" "$image" >"$state/running"
"""


def make_vyos(transport: Transport, image: str, *, prefix: str = "") -> None:
    """Install the simulator on a host whose only image is `image`; programs go below `prefix`."""
    done = transport.run_as_root(
        ("/bin/sh", "-c", _INSTALL, "sh", prefix, image, *PROGRAMS),
        stdin=files("wavemend").joinpath("testing", "guest", "vyos.sh").read_bytes(),
        deadline=30,
    )
    if done.exit_status != 0:
        raise AssertionError(done.stderr.decode(errors="replace"))


def remember(transport: Transport, key: str, value: str) -> None:
    """Write one thing the router knows: `offered`, `published`, `slow`, `full`, `falls-back`."""
    script = 'printf "%s\\n" "$2" >"${WAVEMEND_ROOT:-}/config/.simulated-vyos/$1"'
    transport.run_as_root(("/bin/sh", "-c", script, "sh", key, value), deadline=30)
