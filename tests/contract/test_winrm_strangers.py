"""A password goes to the host it is meant for and to nobody else, wrong ones stop the fleet, and
what a stranger answers is neither believed nor kept."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from winrm.transport import HAVE_KERBEROS

from tests.contract.winrm_bench import (
    LOGIN,
    USERS,
    echo,
    host_on,
    http_peer,
    https_peer,
    login_for,
    no_thread_left,
    opened,
)
from tests.winrm_peer import Peer, other_authority, run_authority, run_tls
from tests.winrm_peer.certificates import TlsFiles
from wavemend.errors import (
    ConnectionLost,
    HostAnswerInvalid,
    HostKeyRefused,
    HostNameUnknown,
    HostPortClosed,
    HostSilent,
    LoginRefused,
    TransportError,
)
from wavemend.hosts import Host
from wavemend.transport import Login, WinrmAuth
from wavemend.transports.winrm import connect
from wavemend.transports.winrm_http import LONGEST_ANSWER


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    with no_thread_left():
        yield


# --- certificates -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (lambda: run_authority().expired(), r"expired.*renew the certificate"),
        (lambda: run_authority().wrong_name(), r"mismatch.*as a name that is in its certificate"),
        (lambda: other_authority().leaf(), r"self-signed certificate in.*put the authority"),
    ],
    ids=["expired", "of another name", "of an unknown authority"],
)
def test_a_host_with_a_wrong_certificate_gets_no_credential(
    files: Callable[[], TlsFiles], words: str
) -> None:
    with Peer(users=USERS, runner=echo, tls=files()) as peer:
        login = login_for(peer, ca=run_authority().pem)
        with pytest.raises(HostKeyRefused, match=words) as caught:
            connect(host_on(peer), login)
        counters = peer.counters()
        assert (counters.auths, counters.unauthorized, counters.operations) == ({}, 0, {})
    assert "no credential was sent" in str(caught.value)


def test_an_authority_of_one_login_vouches_for_no_other_login() -> None:
    with https_peer() as peer:
        with opened(peer):
            pass
        with pytest.raises(HostKeyRefused):
            connect(host_on(peer), login_for(peer, ca=""))
        with pytest.raises(HostKeyRefused):
            connect(host_on(peer), login_for(peer, ca=other_authority().pem))


def test_https_and_http_are_not_mixed_up() -> None:
    with http_peer() as peer, pytest.raises(HostKeyRefused, match="HTTPS listener of WinRM"):
        connect(host_on(peer), login_for(peer, plain_http=False))
    with https_peer() as peer, pytest.raises(TransportError):
        connect(host_on(peer), login_for(peer, plain_http=True))


# --- logins -----------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [WinrmAuth.NTLM, WinrmAuth.BASIC], ids=lambda auth: auth.value)
def test_a_wrong_password_is_tried_three_times_in_the_whole_fleet(auth: WinrmAuth) -> None:
    refused: list[str] = []
    with https_peer() as peer:
        wrong = login_for(peer, password="secret-sauce", auth=auth)

        def attempt() -> None:
            try:
                connect(host_on(peer), wrong)
            except LoginRefused as error:
                refused.append(str(error))

        threads = [threading.Thread(target=attempt) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        connections = peer.counters().connections
        assert connections == 3
        with pytest.raises(LoginRefused, match="refused 3 times in a row"):
            connect(host_on(peer), wrong)
        assert peer.counters().connections == connections
        with opened(peer) as transport:  # another credential under the same name starts anew
            assert transport.run(["a.exe"], deadline=10).exit_status == 7
    assert len(refused) == 12
    assert sum("check the password" in words for words in refused) == 3
    assert not any("sauce" in words for words in refused)


def test_a_password_that_is_changed_during_a_visit_is_not_tried_again_for_the_clean_up() -> None:
    users = dict(USERS)
    with Peer(users=users, runner=echo, tls=run_tls()) as peer:
        transport = connect(host_on(peer), login_for(peer, auth=WinrmAuth.BASIC))
        users[LOGIN.user] = "another"
        peer.drop_all()
        before = peer.counters().unauthorized
        with pytest.raises(LoginRefused):
            transport.run(["a.exe"], deadline=10)
        transport.close()
        assert peer.counters().unauthorized == before + 1
        peer.forget_shells()


@pytest.mark.skipif(HAVE_KERBEROS, reason="pykerberos is installed here")
def test_kerberos_without_its_library_says_what_to_install() -> None:
    with https_peer() as peer:
        with pytest.raises(LoginRefused, match=r"pykerberos is missing.*wavemend\[kerberos\]"):
            connect(host_on(peer), login_for(peer, auth=WinrmAuth.KERBEROS))
        assert peer.counters().connections == 0


# --- no host, or another one --------------------------------------------------------------------


def at(port: int, address: str = "127.0.0.1") -> Host:
    return Host(name="w1", tenant="acme", address=address, port=port, transport="winrm")


PLAIN = Login(
    name="win", user="admin", password=USERS["admin"], plain_http=True, connect_seconds=2.0
)


def test_a_closed_port_and_an_unknown_name_are_told_apart() -> None:
    with https_peer() as peer:
        peer.refuse()
        with pytest.raises(HostPortClosed, match="is WinRM running"):
            connect(host_on(peer), login_for(peer))
    with pytest.raises(HostNameUnknown):
        connect(at(5986, "no-such-host.invalid"), PLAIN)


@contextlib.contextmanager
def stranger(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port and let `serve` have each connection, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    with sock, contextlib.suppress(OSError):
                        serve(sock)

        thread = threading.Thread(target=accept, name="stranger")
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def more(sock: socket.socket) -> bytes:
    if not (data := sock.recv(65_536)):
        raise ConnectionResetError
    return data


def read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += more(sock)
    return head + b"\r\n\r\n" + body


def answers(reply: bytes) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        while True:
            read_request(sock)
            sock.sendall(reply)

    return serve


def silent(sock: socket.socket) -> None:
    read_request(sock)
    time.sleep(2.5)


def drip(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        sock.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (silent, HostSilent),
        (lambda _: None, HostSilent),
        (drip, HostSilent),
        (lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), HostSilent),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), HostAnswerInvalid),
        (answers(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), HostAnswerInvalid),
        (
            answers(
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
                + bytes(LONGEST_ANSWER + 20_000)
            ),
            HostAnswerInvalid,
        ),
        (answers(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), LoginRefused),
    ],
    ids=["silent", "hangs up", "drips", "ssh", "web page", "404", "endless", "no ntlm"],
)
def test_something_else_on_the_port_is_named_within_the_time(
    serve: Callable[[socket.socket], None], told: type[TransportError]
) -> None:
    with stranger(serve) as port:
        began = time.monotonic()
        with pytest.raises(told):
            connect(at(port), PLAIN)
        assert time.monotonic() - began < 8


def test_who_lets_everybody_in_does_not_prove_a_password() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    with http_peer() as peer, stranger(answers(page)) as port:
        wrong = login_for(peer, password="secret-sauce")
        for _ in range(5):
            with pytest.raises(LoginRefused):
                connect(host_on(peer), wrong)
            with contextlib.suppress(LoginRefused, HostAnswerInvalid):
                connect(at(port), wrong)
        assert peer.counters().connections == 3


def test_a_redirection_is_not_followed() -> None:
    with http_peer() as peer:
        reply = f"HTTP/1.1 307 Go\r\nLocation: {peer.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with stranger(answers(reply)) as port, pytest.raises(HostAnswerInvalid, match="status 307"):
            connect(at(port), PLAIN)
        assert peer.counters().connections == 0


FORGED = b"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>
<Selector Name="ShellId">1</Selector><CommandId>2</CommandId>
<CommandState State="http://x/CommandState/Done"><ExitCode>0</ExitCode></CommandState>
</s:Body></s:Envelope>"""


SEALED = b"application/HTTP-SPNEGO-session-encrypted"


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (b"200 OK", b"application/soap+xml", FORGED),
        (b"500 Internal Server Error", b"application/soap+xml", FORGED),
        # What sounds sealed, and is none to the library that unseals.
        (b"200 OK", b"multipart/encrypted;protocol=" + SEALED, FORGED),
        (b"200 OK", b'text/plain; x="' + SEALED + b'"', FORGED),
        (b"200 OK", b'multipart/encrypted;protocol="' + SEALED + b'"', b""),
    ],
    ids=["plain", "fault", "without quotes", "another parameter", "sealed nothing"],
)
def test_an_answer_that_somebody_in_between_wrote_is_not_believed(
    status: bytes, kind: bytes, body: bytes
) -> None:
    """He lets the login through and then answers the encrypted messages himself, in plain text."""
    with http_peer() as peer:

        def in_between(sock: socket.socket) -> None:
            with socket.create_connection(("127.0.0.1", peer.port)) as onward:
                while True:
                    request = read_request(sock)
                    if b"multipart/encrypted" in request:
                        head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\n" % (status, kind)
                        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                    else:
                        onward.sendall(request)
                        sock.sendall(more(onward))

        with stranger(in_between) as port, pytest.raises(HostAnswerInvalid) as caught:
            connect(at(port), PLAIN)
    if status.startswith(b"200"):
        assert "it is not believed" in str(caught.value)


def test_a_host_that_is_taken_over_in_mid_visit_does_not_end_a_command() -> None:
    with https_peer() as peer:
        transport = connect(host_on(peer), login_for(peer))
        peer.close()
        with pytest.raises(TransportError) as caught:
            transport.run(["a.exe"], deadline=2)
        assert isinstance(caught.value, HostPortClosed | ConnectionLost)
        transport.close()
