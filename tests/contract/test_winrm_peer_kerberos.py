"""With a real MIT KDC the test peer takes Kerberos tickets and seals messages with their keys."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.contract.winrm_peer_bench import (
    Ran,
    pypsrp_on,
    pywinrm_on,
    ran_by_pypsrp,
    ran_by_pywinrm,
    repeats,
    trusted,
)
from tests.winrm_peer import Peer, run_tls
from tests.winrm_peer.kdc import Kdc, missing_packages
from wavemend.errors import LoginRefused
from wavemend.hosts import Host
from wavemend.transport import Login, Transport, WinrmAuth
from wavemend.transports.winrm import connect

# gssapi and krb5 are what pyspnego does Kerberos with, kerberos (pykerberos) is pywinrm's.
MISSING = missing_packages() + [
    f"Python module {name}"
    for name in ("gssapi", "krb5", "kerberos")
    if importlib.util.find_spec(name) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")
PATCHED = Ran(stdout=b"tool.exe 7|in", stderr=b"as patch@WAVEMEND.TEST", code=7)


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    with Kdc(tmp_path_factory.mktemp("realm")) as kdc:
        yield kdc


@pytest.fixture
def kdc(realm: Kdc, monkeypatch: pytest.MonkeyPatch) -> Kdc:
    for name, value in realm.environment.items():
        monkeypatch.setenv(name, value)
    realm.get_ticket()
    return realm


def as_pypsrp(kdc: Kdc, auth: str) -> dict[str, object]:
    return {
        "auth": auth,
        "username": kdc.user,
        "password": None,
        "negotiate_hostname_override": kdc.service_host,
        "negotiate_service": "HTTP",
    }


def as_pywinrm(kdc: Kdc) -> dict[str, object]:
    return {
        "transport": "kerberos",
        "username": kdc.user,
        "password": None,
        "kerberos_hostname_override": kdc.service_host,
    }


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_pypsrp_runs_commands_by_its_ticket(
    kdc: Kdc, tmp_path: Path, auth: str, *, tls: bool
) -> None:
    ca = trusted(tmp_path) if tls else None
    with Peer(users={}, runner=repeats, tls=run_tls() if tls else None, cbt="strict") as peer:
        ran = ran_by_pypsrp(pypsrp_on(peer, ca, **as_pypsrp(kdc, auth)), "tool.exe 7", b"in")
        assert peer.counters().auths == {"kerberos": 1}
    assert ran == PATCHED


@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_pywinrm_runs_commands_by_its_ticket(kdc: Kdc, tmp_path: Path, *, tls: bool) -> None:
    ca = trusted(tmp_path) if tls else None
    with Peer(users={}, runner=repeats, tls=run_tls() if tls else None, cbt="strict") as peer:
        ran = ran_by_pywinrm(pywinrm_on(peer, ca, **as_pywinrm(kdc)), "tool.exe 7", b"in")
        assert peer.counters().auths == {"kerberos": 1}
    assert ran == PATCHED


def test_without_a_ticket_nobody_gets_in(kdc: Kdc) -> None:
    kdc.drop_ticket()
    with Peer(users={}, runner=repeats) as peer:
        with pytest.raises(Exception, match=r"(?i)credential|ticket|cache") as refused:
            pywinrm_on(peer, None, **as_pywinrm(kdc)).open_shell()
        assert not isinstance(refused.value, requests.exceptions.ConnectionError)
        assert peer.counters().auths == {}


def as_the_product(peer: Peer, kdc: Kdc) -> Transport:
    """By name: an address has no ticket."""
    return connect(
        Host(name="web1", tenant="acme", address=kdc.service_host, port=peer.port),
        Login(
            name="fleet",
            user=kdc.user,
            auth=WinrmAuth.KERBEROS,
            ca=peer.ca_pem,
            plain_http=not peer.ca_pem,
        ),
    )


@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "tls"])
def test_wavemend_runs_commands_by_its_ticket(kdc: Kdc, *, tls: bool) -> None:
    with (
        Peer(users={}, runner=repeats, tls=run_tls() if tls else None, cbt="strict") as peer,
        contextlib.closing(as_the_product(peer, kdc)) as transport,
    ):
        ran = transport.run(("tool.exe", "7"), stdin=b"in", deadline=10.0)
        assert peer.counters().auths.keys() == {"kerberos"}
        assert peer.counters().decrypt_failures == 0
    assert Ran(stdout=ran.stdout, stderr=ran.stderr, code=ran.exit_status) == PATCHED


def test_wavemend_says_where_a_ticket_is_missing_and_how_to_get_one(kdc: Kdc) -> None:
    kdc.drop_ticket()
    with Peer(users={}, runner=repeats, tls=run_tls()) as peer:
        with pytest.raises(LoginRefused, match=r"localhost:\d+: no Kerberos ticket") as refused:
            as_the_product(peer, kdc)
        assert "kinit" in refused.value.hint
