"""Two independent clients, unmodified, get from the test peer what a Windows host gives them."""

import base64
import contextlib
import http.client
import random
import select
import socket
import ssl
import threading
from pathlib import Path

import pytest
import requests
import spnego
from pypsrp.exceptions import AuthenticationError
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError

from tests.contract.winrm_peer_bench import (
    USERS,
    Ran,
    pypsrp_on,
    pywinrm_on,
    ran_by_pypsrp,
    ran_by_pywinrm,
    repeats,
    trusted,
)
from tests.winrm_peer import Command, Peer, other_authority, run_authority, run_tls

SEALED_CLIENTS = {
    "ntlm": {"auth": "ntlm"},
    "negotiate": {"auth": "negotiate"},
    "domain user": {"username": r"ACME\svc-patch", "password": USERS[r"ACME\svc-patch"]},
}


@pytest.fixture
def ca(tmp_path: Path) -> str:
    return trusted(tmp_path)


def whole(line: str, sent: bytes, user: str = "admin", code: int = 7) -> Ran:
    return Ran(stdout=line.encode() + b"|" + sent, stderr=b"as " + user.encode(), code=code)


@pytest.mark.parametrize("options", SEALED_CLIENTS.values(), ids=SEALED_CLIENTS)
def test_pypsrp_runs_commands_over_plain_http_with_every_message_sealed(
    options: dict[str, object],
) -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        ran = ran_by_pypsrp(pypsrp_on(peer, None, **options), "tool.exe ü 7", b"\x00\xff" * 500)
    assert ran == whole("tool.exe ü 7", b"\x00\xff" * 500, str(options.get("username", "admin")))


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "basic"])
@pytest.mark.parametrize("cbt", ["none", "relaxed", "strict"])
def test_pypsrp_runs_commands_over_https(ca: str, auth: str, cbt: str) -> None:
    with Peer(users=USERS, runner=repeats, tls=run_tls(), cbt=cbt) as peer:
        ran = ran_by_pypsrp(pypsrp_on(peer, ca, auth=auth), "tool.exe 7", b"in")
        assert peer.counters().auths == {auth: 1}
    assert ran == whole("tool.exe 7", b"in")


def test_pywinrm_runs_commands_over_plain_http_with_every_message_sealed() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        ran = ran_by_pywinrm(pywinrm_on(peer), "tool.exe 7", b"abc" * 100_000)
        counters = peer.counters()
    assert ran == whole("tool.exe 7", b"abc" * 100_000)
    assert counters.auths == {"ntlm": 1}
    assert counters.decrypt_failures == 0


@pytest.mark.parametrize(
    "options",
    [{"transport": "ntlm"}, {"message_encryption": "always"}, {"transport": "basic"}],
    ids=["ntlm", "sealed", "basic"],
)
@pytest.mark.parametrize("cbt", ["none", "strict"])
def test_pywinrm_runs_commands_over_https(ca: str, options: dict[str, object], cbt: str) -> None:
    with Peer(users=USERS, runner=repeats, tls=run_tls(), cbt=cbt) as peer:
        ran = ran_by_pywinrm(pywinrm_on(peer, ca, **options), "tool.exe 7", b"in")
    assert ran == whole("tool.exe 7", b"in")


def test_a_client_certificate_names_its_user(ca: str) -> None:
    mine = run_authority().leaf("admin", client=True)
    files = {"cert_pem": str(mine.certificate), "cert_key_pem": str(mine.key)}
    with Peer(users=USERS, runner=repeats, tls=run_tls()) as peer:
        ran = ran_by_pywinrm(
            pywinrm_on(peer, ca, transport="certificate", **files), "tool.exe 7", b"in"
        )
        assert peer.counters().auths == {"certificate": 1}
    assert ran == whole("tool.exe 7", b"in")


def test_a_certificate_of_nobody_is_refused(ca: str) -> None:
    stranger = run_authority().leaf("stranger", client=True)
    files = {"cert_pem": str(stranger.certificate), "cert_key_pem": str(stranger.key)}
    with Peer(users=USERS, runner=repeats, tls=run_tls()) as peer:
        client = pywinrm_on(peer, ca, transport="certificate", **files)
        with pytest.raises(InvalidCredentialsError):
            client.open_shell()


@pytest.mark.parametrize(
    ("cbt", "accepted"), [("none", True), ("relaxed", True), ("strict", False)]
)
def test_only_strict_hardening_demands_a_channel_binding(
    ca: str, cbt: str, *, accepted: bool
) -> None:
    with Peer(users=USERS, runner=repeats, tls=run_tls(), cbt=cbt) as peer:
        client = pywinrm_on(peer, ca, send_cbt=False)
        if accepted:
            assert ran_by_pywinrm(client, "tool.exe 7").code == 7
        else:
            with pytest.raises(InvalidCredentialsError):
                client.open_shell()


class _Relay:
    """A TLS server in the middle that hands the decrypted stream on, under its own certificate.

    TLS 1.2: a record that can be read then always holds bytes of the stream.
    """

    def __init__(self, peer: Peer) -> None:
        tls = run_authority().leaf()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.certificate, tls.key)
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._trusting = ssl.create_default_context(cadata=peer.ca_pem)
        self._trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        self._behind = ("127.0.0.1", peer.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        raw, _ = self._listener.accept()
        behind = socket.create_connection(self._behind)
        with (
            self._trusting.wrap_socket(behind, server_hostname="127.0.0.1") as out,
            self._context.wrap_socket(raw, server_side=True) as client,
            contextlib.suppress(OSError),
        ):
            sinks = {client: out, out: client}
            while True:
                pending = [source for source in sinks if source.pending()]
                for source in pending or select.select(list(sinks), [], [], 10)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    sinks[source].sendall(data)

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


@pytest.mark.parametrize(("cbt", "accepted"), [("none", True), ("relaxed", False)])
def test_a_handshake_relayed_through_another_certificate_is_refused(
    ca: str, cbt: str, *, accepted: bool
) -> None:
    with Peer(users=USERS, runner=repeats, tls=run_tls(), cbt=cbt) as peer:
        relay = _Relay(peer)
        try:
            if accepted:
                assert ran_by_pypsrp(pypsrp_on(peer, ca, port=relay.port), "tool.exe 7").code == 7
            else:
                with pytest.raises(AuthenticationError):
                    ran_by_pypsrp(pypsrp_on(peer, ca, port=relay.port), "tool.exe 7")
        finally:
            peer.drop_all()
            relay.close()


@pytest.mark.parametrize(
    "tls",
    [run_authority().expired(), run_authority().wrong_name(), other_authority().leaf()],
    ids=["expired", "of another name", "of another authority"],
)
def test_a_wrong_certificate_is_refused_by_clients_before_a_password_leaves(
    ca: str, tls: object
) -> None:
    assert isinstance(tls, type(run_tls()))
    with Peer(users=USERS, runner=repeats, tls=tls) as peer:
        with pytest.raises(requests.exceptions.SSLError):
            pywinrm_on(peer, ca).open_shell()
        with pytest.raises(requests.exceptions.SSLError):
            pywinrm_on(peer, ca, transport="basic").open_shell()
        counters = peer.counters()
    assert (counters.connections, counters.unauthorized, counters.auths) == (2, 0, {})


@pytest.mark.parametrize("user", ["admin", "nobody", r"ACME\admin"])
def test_a_wrong_password_or_user_is_refused(ca: str, user: str) -> None:
    with Peer(users=USERS, runner=repeats, tls=run_tls()) as peer:
        for transport in ("ntlm", "basic"):
            client = pywinrm_on(peer, ca, transport=transport, username=user, password="guess")
            with pytest.raises(InvalidCredentialsError):
                client.open_shell()
        assert peer.counters().auths == {}


def test_basic_is_not_taken_over_plain_http() -> None:
    with Peer(users=USERS, runner=repeats, allow_unencrypted=True) as peer:
        client = pywinrm_on(peer, transport="basic", message_encryption="auto")
        with pytest.raises(InvalidCredentialsError):
            client.open_shell()


def test_an_unsealed_message_over_plain_http_is_a_bare_500() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        with pytest.raises(WinRMTransportError) as refused:
            pywinrm_on(peer, message_encryption="never").open_shell()
        assert (refused.value.code, refused.value.response_text) == (500, "")


def test_peers_of_one_process_have_users_of_their_own() -> None:
    with (
        Peer(users={"admin": "one"}, runner=repeats) as first,
        Peer(users={"admin": "two"}, runner=repeats) as second,
    ):
        assert ran_by_pywinrm(pywinrm_on(first, password="one"), "tool.exe 1").code == 1
        assert ran_by_pywinrm(pywinrm_on(second, password="two"), "tool.exe 2").code == 2
        with pytest.raises(InvalidCredentialsError):
            pywinrm_on(first, password="two").open_shell()


def test_identify_needs_no_login_and_other_paths_do_not_exist() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        asked = {"WSMANIDENTIFY": "unauthenticated"}
        identified = requests.post(peer.url, headers=asked, timeout=5)
        elsewhere = requests.post(peer.url.replace("wsman", "other"), timeout=5)
        nobody = requests.post(peer.url, data=b"<x/>", timeout=5)
    assert identified.status_code == 200
    assert b"IdentifyResponse" in identified.content
    assert elsewhere.status_code == 404
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"] == "Negotiate, Kerberos"
    assert nobody.headers["Server"] == "Microsoft-HTTPAPI/2.0"


def test_a_shell_left_open_fails_the_test_that_left_it() -> None:
    with pytest.raises(AssertionError, match="1 shells were left open"):  # noqa: SIM117
        with Peer(users=USERS, runner=repeats) as peer:
            pywinrm_on(peer).open_shell()


def test_what_a_runner_throws_fails_the_test() -> None:
    def throws(command: Command) -> None:
        raise LookupError(command.line)

    with pytest.raises(LookupError, match="unknown script"):  # noqa: SIM117
        with Peer(users=USERS, runner=throws) as peer:
            assert ran_by_pywinrm(pywinrm_on(peer), "unknown script").code == 1


def test_nothing_of_a_closed_peer_is_left() -> None:
    before = set(threading.enumerate())
    with Peer(users=USERS, runner=repeats) as peer:
        ran_by_pywinrm(pywinrm_on(peer), "tool.exe 7")
        port = peer.port
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.mark.parametrize("scheme", ["Negotiate", "Kerberos", "Basic", "Other"])
def test_a_damaged_token_is_a_401_and_nothing_worse(ca: str, scheme: str) -> None:
    dice = random.Random(scheme)
    whole_token = spnego.client("admin", "guess").step() or b""
    with Peer(users=USERS, runner=repeats, tls=run_tls()) as peer, requests.Session() as session:
        session.trust_env = False
        session.verify = ca
        for _ in range(60):
            token = bytearray(whole_token[: dice.randint(20, len(whole_token))])
            for _ in range(dice.randint(1, 4)):
                token[dice.randrange(len(token))] = dice.randrange(256)
            text = base64.b64encode(token).decode() + dice.choice(["", "", "="])
            headers = {"Authorization": f"{scheme} {text}"}
            assert session.post(peer.url, headers=headers, timeout=5).status_code == 401
        assert peer.counters().auths == {}


def test_a_sealed_message_of_another_length_than_it_says_is_a_bare_400() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        client = pywinrm_on(peer)
        client.close_shell(client.open_shell(), close_session=False)
        transport = client.transport
        assert transport.session is not None
        assert transport.encryption is not None
        sealed = transport.encryption.prepare_encrypted_request(
            transport.session, peer.url, b"<x/>"
        )
        assert isinstance(sealed.body, bytes)
        sealed.body = sealed.body.replace(b"Length=4", b"Length=5")
        assert transport.session.send(sealed, timeout=5).status_code == 400
        transport.close_session()


def test_a_login_may_be_begun_again_on_the_same_connection() -> None:
    with Peer(users=USERS, runner=repeats) as peer:
        link = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)

        def told(token: bytes | None) -> tuple[int, bytes]:
            text = base64.b64encode(token or b"").decode()
            link.request("POST", "/wsman", b"", {"Authorization": f"Negotiate {text}"})
            answered = link.getresponse()
            answered.read()
            said = answered.headers.get("WWW-Authenticate", "")
            return answered.status, base64.b64decode(said.partition(" ")[2])

        for protocol in ("ntlm", "ntlm", "negotiate"):
            told(spnego.client("admin", "abandoned", protocol=protocol).step())
            client = spnego.client("admin", USERS["admin"], protocol=protocol)
            _, challenge = told(client.step())
            assert told(client.step(challenge))[0] == 200
        link.close()
        counters = peer.counters()
    assert (counters.connections, counters.auths) == (1, {"ntlm": 2, "negotiate": 1})
