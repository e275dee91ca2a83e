"""Which login goes with which host, and what each way of logging in needs."""

import ipaddress
import re
from collections.abc import Iterator, Mapping

from wavemend.inventory.fleet_schema import HostForm
from wavemend.inventory.forms import Forms
from wavemend.inventory.login_schema import LoginForm
from wavemend.inventory.problems import Place, Problem, shown
from wavemend.transport import WinrmAuth

_NEEDS: Mapping[WinrmAuth, tuple[str, ...]] = {
    WinrmAuth.KERBEROS: (),
    WinrmAuth.NTLM: ("password",),
    WinrmAuth.BASIC: ("password",),
    WinrmAuth.CERTIFICATE: ("certificate", "certificate_key"),
}
_CREDENTIALS = ("password", "certificate", "certificate_key")
_ONLY_SSH = ("key", "known_hosts", "ssh_config", "become", "become_password")
_ONLY_WINRM = (*_CREDENTIALS, "ca", "plain_http")

_UNIX_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,62}\$?")


def check_logins(forms: Forms) -> Iterator[Problem]:
    """Yield what is wrong with logins, and with hosts that use one of the other kind."""
    for number, login in forms.logins.items():
        check = _ssh_login if login.auth is None else _winrm_login
        yield from check(forms, ("logins", number), login)
    logins = {login.name: login for login in forms.logins.values()}
    for number, host in forms.hosts.items():
        if host.login in logins:
            yield from _host(forms, ("hosts", number), host, logins[host.login])


def _ssh_login(forms: Forms, place: Place, login: LoginForm) -> Iterator[Problem]:
    if not login.key:
        what = "is missing; write the private key of an SSH login, or auth for one over WinRM"
        yield forms.problem((*place, "key"), what)
    if not _UNIX_ACCOUNT.fullmatch(login.user):
        yield forms.problem((*place, "user"), f"{shown(login.user)}: no account name")
    for name in _given(login, _ONLY_WINRM):
        what = "belongs to a login over WinRM; write its auth, too, or take this out"
        yield forms.problem((*place, name), what)


def _winrm_login(forms: Forms, place: Place, login: LoginForm) -> Iterator[Problem]:
    auth = login.auth or WinrmAuth.NTLM
    if auth is WinrmAuth.KERBEROS and "\\" in login.user:
        what = f"{shown(login.user)}: Kerberos knows no such name; write it as account@REALM"
        yield forms.problem((*place, "user"), what)
    for name in _given(login, _ONLY_SSH):
        what = "belongs to a login over SSH; take it out, or auth"
        yield forms.problem((*place, name), what)
    for name in _NEEDS[auth]:
        if not getattr(login, name):
            yield forms.problem((*place, name), f"is missing; auth {auth.value} needs it")
    for name in _given(login, _CREDENTIALS):
        if name not in _NEEDS[auth]:
            what = f"means nothing with auth {auth.value}; take it out"
            yield forms.problem((*place, name), what)
    if not login.plain_http:
        return
    if auth not in {WinrmAuth.KERBEROS, WinrmAuth.NTLM}:
        what = f"auth {auth.value} over HTTP would be open to everybody on the way; take this out"
        yield forms.problem((*place, "plain_http"), what)
    elif login.ca:
        what = "means nothing with plain_http, which has no certificates; take one of the two out"
        yield forms.problem((*place, "ca"), what)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _given(login: LoginForm, names: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if name in login.model_fields_set)


def _host(forms: Forms, place: Place, host: HostForm, login: LoginForm) -> Iterator[Problem]:
    if host.transport == "ssh" and login.auth is not None:
        what = f"{shown(login.name)} is for WinRM; name another, or write transport: winrm"
        yield forms.problem((*place, "login"), what)
    if host.transport == "winrm" and login.auth is None:
        what = f"{shown(login.name)} is for SSH; name one that has auth"
        yield forms.problem((*place, "login"), what)
    if host.transport == "winrm" and login.auth is WinrmAuth.KERBEROS and _is_ip(host.address):
        what = "is an IP address, for which there are no Kerberos tickets; write the full name"
        yield forms.problem((*place, "address"), what)
    if host.transport == "winrm" and host.host_keys:
        what = "are SSH's; over WinRM the login's ca says whose certificates count"
        yield forms.problem((*place, "host_keys"), what)
