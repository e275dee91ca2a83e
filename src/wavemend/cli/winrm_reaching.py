"""The way to a Windows host, step by step: its name, its port, its certificate. Nobody logs in."""

import ssl
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wavemend.errors import TransportError
from wavemend.windows.selftest_judging import Checked, Verdict

if TYPE_CHECKING:
    from wavemend.hosts import Host
    from wavemend.transport import Login

RENEW_DAYS = 30
"""A certificate that ends sooner is good, and somebody should know."""

_PORT, _CERTIFICATE = "name and port", "certificate"


def reach(host: "Host", login: "Login", now: datetime) -> "Generator[Checked, None, bool]":
    """Yield a line for the port and one for the certificate; returns whether both are good."""
    from wavemend.transports.bounds import Budget
    from wavemend.transports.sockets import Place, open_socket
    from wavemend.transports.winrm_tls import tls_of, wrap

    place, budget = Place(host.address, host.port, "WinRM"), Budget(login.connect_seconds)
    try:
        sock = open_socket(place, budget)
    except TransportError as error:
        yield _failed(_PORT, error)
        yield Checked(name=_CERTIFICATE, verdict=Verdict.NOT_TRIED, seen="nothing is reached")
        return False
    with closing(sock):
        peer = sock.getpeername()[0]
        yield Checked(name=_PORT, verdict=Verdict.OK, seen=f"{place} answers (as {peer})")
        if login.plain_http:
            yield _unproven()
            return True
        try:
            with closing(wrap(sock, tls_of(login), place, budget)) as tls:
                yield _certificate(tls.getpeercert() or {}, tls.version() or "", now)
        except TransportError as error:
            yield _failed(_CERTIFICATE, error)
            return False
    return True


def _failed(name: str, error: TransportError) -> Checked:
    way_out = error.hint or "is the address right, and does a firewall let it through?"
    return Checked(name=name, verdict=Verdict.FAILED, seen=error.message, way_out=way_out)


def _unproven() -> Checked:
    return Checked(
        name=_CERTIFICATE,
        verdict=Verdict.NOT_TRIED,
        seen="this login says plain_http: NTLM does not prove which host it is",
        way_out="give the host an HTTPS listener",
        by_choice=True,
    )


def _certificate(told: "dict[str, Any]", version: str, now: datetime) -> Checked:
    """Say whose certificate was verified, and until when it holds."""
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(told["notAfter"]), UTC)
    days = (until - now).days
    soon = f"renew it: {days} days are left" if days < RENEW_DAYS else ""
    seen = (
        f"{_name(told['subject'])}, by {_name(told['issuer'])}, until {until:%Y-%m-%d}; {version}"
    )
    return Checked(name=_CERTIFICATE, verdict=Verdict.OK, seen=seen, way_out=soon)


def _name(parts: Any) -> str:
    """Return the most telling part of a name in a certificate."""
    flat = dict(pair for part in parts for pair in part)
    return str(flat.get("commonName") or next(reversed(flat.values()), "no name"))
