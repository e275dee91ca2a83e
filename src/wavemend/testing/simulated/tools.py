"""The folder of tools that stands first in the PATH of every simulated host."""

import shlex
import shutil
import sys
from pathlib import Path

from wavemend.testing.guest import run

SHELL_TOOLS = {
    "sudo": """\
case "$USER" in wmlimited) echo "sudo: a password is required" >&2; exit 1 ;; esac
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -u | -g) shift 2 ;;
    -*) shift ;;
    *=*) export "$1"; shift ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || exit 1
command -v "$1" >/dev/null || { echo "sudo: $1: command not found" >&2; exit 1; }
export USER=root LOGNAME=root HOME="$WAVEMEND_ROOT/root" WAVEMEND_SIM_UID=0
exec "$@"
""",
    "id": """\
uid=${WAVEMEND_SIM_UID:-1000}
case "$*" in
  -u | -g | -ur | -r\\ -u) echo "$uid" ;;
  -un | -gn | -n\\ -u | -u\\ -n) echo "$USER" ;;
  *) echo "uid=$uid($USER) gid=$uid($USER) groups=$uid($USER)" ;;
esac
""",
    "whoami": 'echo "$USER"\n',
    "who": "exit 0\n",
    "hostname": 'cat "$WAVEMEND_ROOT/etc/hostname"\n',
    "uname": """\
proc=$WAVEMEND_ROOT/proc
read -r name <"$proc/sys/kernel/hostname"
read -r release <"$proc/sys/kernel/osrelease"
build="#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)"
out=
[ $# -gt 0 ] || set -- -s
for flag; do
  case $flag in
    -a | --all) out="$out Linux $name $release $build x86_64 GNU/Linux" ;;
    -s) out="$out Linux" ;;
    -n) out="$out $name" ;;
    -r) out="$out $release" ;;
    -v) out="$out $build" ;;
    -m | -p | -i) out="$out x86_64" ;;
    -o) out="$out GNU/Linux" ;;
    -sr) out="$out Linux $release" ;;
  esac
done
echo "${out# }"
""",
    "systemctl": """\
case "$1" in
  reboot | poweroff) exec "$1" ;;
  is-system-running) echo running ;;
  is-active | is-enabled) echo inactive; exit 3 ;;
  --version) echo "systemd 252 (252.39-1~deb12u2)" ;;
esac
exit 0
""",
}

ONLY_WHERE_REAL = {
    "needrestart": 'echo "NEEDRESTART-VER: 3.6"\n',
    "pro": "exit 0\n",
}
"""Only where this machine has a real one, which would tell of this machine."""


def write_tools(folder: Path) -> None:
    """Write the tools of simulated hosts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = dict(SHELL_TOOLS)
    texts |= {name: text for name, text in ONLY_WHERE_REAL.items() if shutil.which(name)}
    python, script = shlex.quote(sys.executable), shlex.quote(str(Path(run.__file__).resolve()))
    for name in run.TOOLS:
        texts[name] = f'exec {python} -I -S {script} {name} "$@"\n'
    for name, text in texts.items():
        tool = folder / name
        tool.write_text(f"#!/bin/sh\n# {name} of a simulated host\n{text}")
        tool.chmod(0o755)
