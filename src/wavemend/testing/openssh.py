"""A real OpenSSH server on a loopback port, run as the current user, for tests."""

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from wavemend.errors import EnvironmentUnfit
from wavemend.testing.keys import KeyPair, free_port, new_key

SSHD = Path("/usr/sbin/sshd")
STARTS_WITHIN = 10.0

CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
LogLevel DEBUG1
{more}
"""


class OpenSshServer:
    """An sshd with its own host key, log and list of authorised keys; a context manager.

    `before`: an argv prefix that ends in executing sshd, to run it in namespaces of its own;
    `user`: who logs in there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authorized: str,
        more: str = "",
        before: Sequence[str] = (),
        user: str = "",
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.host_key: KeyPair = new_key()
        self.user = user or getpass.getuser()
        self._more = more
        self._before = tuple(before)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "authorized_keys").write_text(f"{authorized}\n")

    @property
    def log(self) -> str:
        """Return what the server logged, at level DEBUG1."""
        path = self.folder / "sshd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def known_hosts_line(self) -> str:
        """Return the known_hosts line that makes this server known."""
        return f"[127.0.0.1]:{self.port} {self.host_key.public}\n"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server and wait until it listens. Raises EnvironmentUnfit."""
        key = self.folder / "host_key"
        key.write_text(self.host_key.private)
        key.chmod(0o600)
        config = self.folder / "sshd_config"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder, more=self._more))
        if os.geteuid() == 0:  # privilege separation wants its empty directory, which boot makes
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(
            [
                *self._before,
                *(str(SSHD), "-D", "-f", str(config), "-E", str(self.folder / "sshd.log")),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_port(self.port, STARTS_WITHIN)

    def kill(self) -> None:
        """Kill the server with all its sessions, as a power cut would."""
        if self._process is None:
            return
        for pid in [*_children(self._process.pid), self._process.pid]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


def _children(pid: int) -> list[int]:
    """Return the sessions of a server, deepest last; each has made a session of its own."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}/task")
        with contextlib.suppress(OSError):  # one that ends meanwhile takes its files along
            words = [(each / "children").read_text().split() for each in folder.iterdir()]
            pids = [int(word) for thread in words for word in thread]
            found += pids
            waiting += pids
    return found


def wait_for_port(port: int, seconds: float) -> None:
    """Wait until a loopback port accepts connections. Raises EnvironmentUnfit."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.02)
    raise EnvironmentUnfit(f"nothing listens on port {port} after {seconds:g} s")
