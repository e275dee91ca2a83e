"""What the SSH tests share: keys, hosts, logins, and the look at what is left behind."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from wavemend.hosts import Host
from wavemend.testing.keys import new_key
from wavemend.testing.openssh import SSHD, OpenSshServer
from wavemend.transport import Login, Transport
from wavemend.transports.ssh import BASTIONS, GUARD, connect

KEY = new_key()
OTHER = new_key()

needs_sshd = pytest.mark.skipif(not SSHD.exists(), reason=f"{SSHD} is missing: openssh-server")


def host_on(port: int, *host_keys: str, address: str = "127.0.0.1") -> Host:
    return Host(name="web1", tenant="acme", address=address, port=port, host_keys=host_keys)


def login_for(server: OpenSshServer, *, config: str = "") -> Login:
    return Login(
        name="fleet",
        user=server.user,
        private_key=KEY.private,
        known_hosts=server.known_hosts_line,
        ssh_config=config,
    )


def opened(host: Host, login: Login) -> "contextlib.closing[Transport]":
    return contextlib.closing(connect(host, login))


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fail when a thread or a bastion of a connection is left, whatever went wrong in between."""
    GUARD.forget()
    before = set(threading.enumerate())
    yield
    ends_at = time.monotonic() + 8
    while left := [
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.name != "wavemend-watchdog"  # of the process, and stays
    ]:
        if time.monotonic() > ends_at:
            pytest.fail(f"threads are left: {left}")
        time.sleep(0.02)
    assert BASTIONS.counts() == {}
