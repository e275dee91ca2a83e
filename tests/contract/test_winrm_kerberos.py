"""With a ticket of a real MIT KDC in the worker's cache the transport logs in without a password;
without one it says so and is not counted as a refused login."""

import importlib.util
from collections.abc import Iterator

import pytest

from tests.contract.winrm_bench import echo, host_on, login_for, no_thread_left
from tests.winrm_peer import Peer, run_tls
from tests.winrm_peer.kdc import Kdc, missing_packages
from wavemend.errors import LoginRefused
from wavemend.transport import WinrmAuth
from wavemend.transports.winrm import connect

# pyspnego on the peer's side needs the first two, pywinrm the third.
MISSING = missing_packages() + [
    f"Python module {name}"
    for name in ("gssapi", "krb5", "kerberos")
    if importlib.util.find_spec(name) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    with no_thread_left():
        yield


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


@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_a_ticket_logs_in_and_a_broken_connection_is_taken_up_by_it_again(
    kdc: Kdc, *, tls: bool
) -> None:
    with Peer(users={}, runner=echo, tls=run_tls() if tls else None, cbt="strict") as peer:
        login = login_for(peer, user=kdc.user, password="", auth=WinrmAuth.KERBEROS)
        transport = connect(host_on(peer, kdc.service_host), login)
        assert transport.run(["a.exe"], stdin=b"words", deadline=10).stdout == b"words"
        peer.drop_all()
        assert transport.run(["a.exe"], stdin=b"again", deadline=10).stdout == b"again"
        transport.close()
        assert peer.counters().auths == {"kerberos": 2}
        assert peer.counters().decrypt_failures == 0


def test_without_a_ticket_the_way_to_one_is_told_and_no_login_is_used_up(kdc: Kdc) -> None:
    kdc.drop_ticket()
    with Peer(users={}, runner=echo, tls=run_tls()) as peer:
        login = login_for(peer, user=kdc.user, password="", auth=WinrmAuth.KERBEROS)
        for _ in range(4):
            with pytest.raises(LoginRefused, match=r"no Kerberos ticket.*run kinit"):
                connect(host_on(peer, kdc.service_host), login)
        assert peer.counters().auths == {}
        kdc.get_ticket()
        connect(host_on(peer, kdc.service_host), login).close()
