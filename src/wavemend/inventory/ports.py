"""The TCP port of a host: its own, or the one of its transport and login."""

from collections.abc import Collection, Mapping

from wavemend.inventory.fleet_schema import HostForm
from wavemend.inventory.login_schema import LoginForm

SSH, WINRM_HTTPS, WINRM_HTTP = 22, 5986, 5985


def plain_logins(logins: Mapping[int, LoginForm]) -> frozenset[str]:
    """Return the names of the logins that use HTTP."""
    return frozenset(login.name for login in logins.values() if login.plain_http)


def port_of(host: HostForm, plain: Collection[str]) -> int:
    """Return a host's port; `plain`: the logins over HTTP."""
    if host.port is not None:
        return host.port
    if host.transport != "winrm":
        return SSH
    return WINRM_HTTP if host.login in plain else WINRM_HTTPS
