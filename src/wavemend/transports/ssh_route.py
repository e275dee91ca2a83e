"""Which way a host is reached: its ssh_config entry and the bastions before it."""

import re
from dataclasses import dataclass
from functools import lru_cache

import paramiko

from wavemend.errors import TransportError
from wavemend.hosts import Host
from wavemend.transport import Login

MOST_BASTIONS = 8
"""Longer chains are loops in the configuration."""

REFUSED_KEYWORDS = re.compile(
    r"^\s*(include|canonicalizehostname|match\b.*\bexec)\b", re.IGNORECASE | re.MULTILINE
)
"""These read other files, ask the network or run programs here; a login's text may not."""

JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?/?"
)


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way; the last one is the host itself."""

    user: str
    address: str
    port: int
    pins: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@lru_cache(maxsize=16)
def _parse(text: str) -> paramiko.SSHConfig:
    if refused := REFUSED_KEYWORDS.search(text):
        raise TransportError(
            f"the login's ssh_config uses {refused.group(1).split()[0]!r}, which is not supported",
            hint="HostName, Port, User and ProxyJump are read; leave the others out",
        )
    try:
        return paramiko.SSHConfig.from_text(text)
    except paramiko.ConfigParseError as error:
        raise TransportError(f"the login's ssh_config cannot be read: {error}") from error


def route(host: Host, login: Login) -> tuple[Hop, ...]:
    """Return the hops to a host, first bastion first, the host itself last.

    HostName, Port, User and ProxyJump of the login's ssh_config are honoured; where the file
    names a User, that wins over the login's. All else in it is for other programs: keys and known
    hosts come from the login alone.
    """
    if not login.ssh_config:
        return (Hop(login.user, host.address, host.port, host.host_keys),)
    port = host.port if host.port != 22 else 0
    hops = _hops(login, host.address, port, "", depth=0)
    last = hops[-1]
    return (*hops[:-1], Hop(last.user, last.address, last.port, host.host_keys))


def _hops(login: Login, name: str, port: int, user: str, *, depth: int) -> tuple[Hop, ...]:
    if depth > MOST_BASTIONS:
        raise TransportError(
            f"the way to {name} has more than {MOST_BASTIONS} bastions",
            hint="look for a loop of ProxyJump lines in the login's ssh_config",
        )
    found = _parse(login.ssh_config).lookup(name)
    if str(found.get("proxycommand", "none")).lower() != "none":
        raise TransportError(
            f"the login's ssh_config has a ProxyCommand for {name}, which would run a program here",
            hint="use ProxyJump",
        )
    chosen = user or str(found.get("user", login.user))
    hop = Hop(chosen, str(found["hostname"]), port or int(found.get("port", 22)))
    jumps = str(found.get("proxyjump", "none"))
    if jumps.lower() == "none":
        return (hop,)
    hops: tuple[Hop, ...] = ()
    for jump in jumps.split(","):
        before = _jump(login, jump.strip(), depth)
        # As in ssh(1): only the first bastion of a list has a way of its own.
        hops = (*hops, before[-1]) if hops else before
    return (*hops, hop)


def _jump(login: Login, text: str, depth: int) -> tuple[Hop, ...]:
    match = JUMP.fullmatch(text)
    if match is None:
        raise TransportError(
            f"ProxyJump {text!r} of the login's ssh_config means nothing",
            hint="write [user@]host[:port], several separated by commas",
        )
    name = match["host"].strip("[]")
    return _hops(login, name, int(match["port"] or 0), match["user"] or "", depth=depth + 1)
