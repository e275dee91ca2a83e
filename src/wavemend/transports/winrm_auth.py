"""How a login proves itself: Kerberos, NTLM with channel binding, certificate or Basic."""

import hashlib
import logging

from requests import Session
from requests.auth import HTTPBasicAuth
from requests_ntlm import HttpNtlmAuth

from wavemend.errors import LoginRefused
from wavemend.transport import Login, WinrmAuth

NEGOTIATED = frozenset({WinrmAuth.KERBEROS, WinrmAuth.NTLM})
"""Belong to a TCP connection and can encrypt messages."""

_BY_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"


def credential_id(login: Login) -> str:
    """Return what tells two credentials of one login name apart; not the secret itself."""
    secret = "\0".join((login.auth, login.user, login.password, login.certificate_key))
    return hashlib.sha256(secret.encode()).hexdigest()


def check_login(login: Login) -> None:
    """Refuse what works with no host, or would give a secret away, before anything is sent."""
    missing = {
        WinrmAuth.NTLM: not login.password,
        WinrmAuth.BASIC: not login.password,
        WinrmAuth.CERTIFICATE: not (login.certificate and login.certificate_key),
        WinrmAuth.KERBEROS: False,
    }
    if missing[login.auth]:
        what = "certificate and key" if login.auth is WinrmAuth.CERTIFICATE else "password"
        raise LoginRefused(
            f"login {login.name!r} has no {what}, which {login.auth.value} needs",
            hint="give the login one, or choose another `auth`",
        )
    if login.plain_http and login.auth not in NEGOTIATED:
        raise LoginRefused(
            f"login {login.name!r}: {login.auth.value} over plain HTTP would show the secret to"
            " everybody on the way",
            hint="use HTTPS, or ntlm or kerberos, which encrypt every message",
        )


def authenticate(session: Session, login: Login) -> None:
    """Make a session's requests prove the login. LoginRefused where this machine cannot."""
    match login.auth:
        case WinrmAuth.NTLM:
            logging.getLogger("spnego").setLevel(logging.WARNING)  # debug messages hold tokens
            session.auth = HttpNtlmAuth(login.user, login.password, send_cbt=True)
        case WinrmAuth.BASIC:
            session.auth = HTTPBasicAuth(login.user.encode(), login.password.encode())
        case WinrmAuth.CERTIFICATE:
            session.headers["Authorization"] = _BY_CERTIFICATE
        case WinrmAuth.KERBEROS:
            _use_ticket(session, login)


def _use_ticket(session: Session, login: Login) -> None:
    try:
        from winrm.vendor import requests_kerberos
    except ImportError:
        raise LoginRefused(
            f"login {login.name!r}: this machine cannot do Kerberos: pykerberos is missing",
            hint="install wavemend[kerberos] (it needs gcc and libkrb5-dev), or use auth: ntlm",
        ) from None
    # Its debug messages hold tokens, and each failure is raised once as our own error.
    logging.getLogger("winrm.vendor.requests_kerberos").setLevel(logging.CRITICAL + 1)
    session.auth = requests_kerberos.HTTPKerberosAuth(  # type: ignore[no-untyped-call]
        mutual_authentication=requests_kerberos.REQUIRED,
        force_preemptive=True,
        principal=login.user,
        sanitize_mutual_error_response=False,
        service="HTTP",
        send_cbt=True,
    )


def has_keys(session: Session) -> bool:
    """Return whether the login left keys to encrypt messages with: it took place at all."""
    kept = (getattr(session.auth, name, None) for name in ("session_security", "context"))
    return any(kept)


def kerberos_fault(place: str, login: Login, error: Exception) -> LoginRefused | None:
    """Return the error for a failure of Kerberos itself; None for any other failure.

    By name: the library that defines them cannot be imported where Kerberos is not installed.
    """
    match type(error).__name__:
        case "KerberosExchangeError":
            return LoginRefused(
                f"{place}: no Kerberos ticket of {login.user!r} for this host",
                hint="run kinit for the worker's account (KRB5CCNAME), and write the host's"
                " `address` as its full name: an IP address has no ticket",
            )
        case "MutualAuthenticationError":
            return LoginRefused(
                f"{place}: the host did not prove by Kerberos who it is",
                hint="does the name belong to this machine (SPN HTTP/…)?",
            )
        case _:
            return None
