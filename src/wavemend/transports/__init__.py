"""How commands reach a host: the table of transports. What one must do is in `transport.py`.

To add one: write `transports/<name>.py` with a `connect(host, login) -> Transport`, add a line to
`TRANSPORTS`, and run the contract suite in `tests/contract/test_transports.py`.
"""

from collections.abc import Callable, Mapping

from wavemend.hosts import Host
from wavemend.transport import Login, Transport


def _ssh(host: Host, login: Login) -> Transport:
    from wavemend.transports.ssh import connect

    return connect(host, login)


def _local(host: Host, login: Login) -> Transport:
    from wavemend.transports.local import connect

    return connect(host, login)


def _winrm(host: Host, login: Login) -> Transport:
    from wavemend.transports.winrm import connect

    return connect(host, login)


TRANSPORTS: Mapping[str, Callable[[Host, Login], Transport]] = {
    "local": _local,
    "ssh": _ssh,
    "winrm": _winrm,
}
"""Imported when first used: paramiko alone costs a tenth of a second at start."""
