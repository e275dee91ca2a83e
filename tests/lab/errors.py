"""Run a command of the machine, and say in clear words what failed."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# A normal user's PATH often lacks the sbin folders, where ip and debootstrap live.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TAIL_LINES = 25


class LabError(Exception):
    """Something the lab cannot do, as a sentence for the person at the keyboard."""


def machine_env(**extra: str) -> dict[str, str]:
    """Return the environment for every command the lab runs: fixed locale, sbin in PATH."""
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"
    return {
        **os.environ,
        "PATH": path,
        "LC_ALL": "C",
        "DEBIAN_FRONTEND": "noninteractive",
        **extra,
    }


def tail(text: str, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a command's output: the part that says why."""
    return "\n".join(text.strip().splitlines()[-lines:])


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float = 120,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Run a command and return its output; its failure is a LabError with the output's tail."""
    shown = shlex.join(str(word) for word in argv)
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            check=False,
            input=stdin or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            env=dict(env or machine_env()),
        )
    except FileNotFoundError:
        raise LabError(f"the command `{argv[0]}` is not installed (wanted: {shown})") from None
    except subprocess.TimeoutExpired as error:
        seen = error.stdout or b""
        text = seen.decode(errors="replace") if isinstance(seen, bytes) else str(seen)
        raise LabError(f"`{shown}` did not end within {timeout:.0f} s\n{tail(text)}") from None
    if done.returncode != 0:
        raise LabError(f"`{shown}` ended with {done.returncode}\n{tail(done.stdout)}")
    return done.stdout
