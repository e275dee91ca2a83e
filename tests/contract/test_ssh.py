"""Over SSH, no credential leaves before the host key is verified, and every wait has an end."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from tests.contract.ssh_bench import (
    KEY,
    OTHER,
    host_on,
    login_for,
    needs_sshd,
    nothing_left_behind,
    opened,
)
from wavemend.errors import (
    ConnectionLost,
    DeadlinePassed,
    HostKeyRefused,
    HostNameUnknown,
    HostPortClosed,
    HostSilent,
    HostUnreachable,
    TransportError,
)
from wavemend.testing import bad_servers
from wavemend.testing.keys import free_port
from wavemend.testing.openssh import OpenSshServer
from wavemend.transport import Login
from wavemend.transports.ssh import BASTIONS, connect

SLACK = 4.0


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[OpenSshServer]:
    with OpenSshServer(tmp_path / "sshd", authorized=KEY.public) as server:
        yield server


# --- whom we talk to ------------------------------------------------------------------------


def assert_no_credential_was_offered(server: OpenSshServer) -> None:
    until = time.monotonic() + 20
    while "kex: host key algorithm" not in server.log:  # written by a process of its own
        assert time.monotonic() < until, "the server saw the key exchange"
        time.sleep(0.05)
    assert "userauth-request" not in server.log
    assert "Accepted" not in server.log


@needs_sshd
def test_an_unknown_host_key_is_refused_before_any_credential_is_sent(sshd: OpenSshServer) -> None:
    login = replace(login_for(sshd), known_hosts="")

    with pytest.raises(HostKeyRefused, match=r"unknown.*presented ssh-ed25519 SHA256:"):
        connect(host_on(sshd.port), login)
    assert_no_credential_was_offered(sshd)


@needs_sshd
def test_a_changed_host_key_is_refused_and_both_fingerprints_are_named(sshd: OpenSshServer) -> None:
    login = replace(login_for(sshd), known_hosts=f"[127.0.0.1]:{sshd.port} {OTHER.public}\n")

    with pytest.raises(HostKeyRefused, match=r"changed: expected .*SHA256.*presented .*SHA256"):
        connect(host_on(sshd.port), login)
    assert_no_credential_was_offered(sshd)


@needs_sshd
def test_a_revoked_key_is_refused_even_where_it_is_pinned(sshd: OpenSshServer) -> None:
    revoked = f"@revoked * {sshd.host_key.public}\n"
    login = replace(login_for(sshd), known_hosts=sshd.known_hosts_line + revoked)

    for host in (host_on(sshd.port), host_on(sshd.port, sshd.host_key.public)):
        with pytest.raises(HostKeyRefused, match="revoked"):
            connect(host, login)
    assert_no_credential_was_offered(sshd)


@needs_sshd
def test_a_pinned_key_wins_over_the_known_hosts_text(sshd: OpenSshServer) -> None:
    with pytest.raises(HostKeyRefused, match="changed"):
        connect(host_on(sshd.port, OTHER.public), login_for(sshd))
    assert_no_credential_was_offered(sshd)

    login = replace(login_for(sshd), known_hosts="")
    with opened(host_on(sshd.port, sshd.host_key.public), login) as transport:
        assert transport.peer_key == sshd.host_key.public


@needs_sshd
def test_a_certificate_authority_alone_is_refused_loudly(sshd: OpenSshServer) -> None:
    line = f"@cert-authority * {sshd.host_key.public}\n"

    with pytest.raises(HostKeyRefused, match="@cert-authority"):
        connect(host_on(sshd.port), replace(login_for(sshd), known_hosts=line))
    assert_no_credential_was_offered(sshd)


@needs_sshd
def test_a_host_without_a_key_of_the_pinned_type_is_refused(sshd: OpenSshServer) -> None:
    rsa = f"ssh-rsa {paramiko.RSAKey.generate(2048).get_base64()}"
    with pytest.raises(HostKeyRefused, match="no key of the expected type"):
        connect(host_on(sshd.port, rsa), login_for(sshd))
    assert_no_credential_was_offered(sshd)


# --- every stage has an end -------------------------------------------------------------------


def fails_within(seconds: float, attempt: Callable[[], object], kind: type[TransportError]) -> str:
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        attempt()
    assert type(caught.value) is kind
    assert time.monotonic() - started < seconds + SLACK
    return str(caught.value)


SILENCES = {
    "silent": (bad_servers.silent, "does not speak SSH"),
    "banner-only": (bad_servers.banner_only, "stops in the key exchange"),
    "dripping-banner": (bad_servers.dripping_banner, "does not speak SSH"),
    "hangs-up": (bad_servers.hangs_up, "does not speak SSH"),
    "web-server": (bad_servers.web_server, "does not speak SSH"),
    "stalls-in-login": (bad_servers.stalls_in_login(OTHER), "stops in the login"),
}


@pytest.mark.parametrize("stage", SILENCES)
def test_a_server_that_stops_at_any_stage_is_given_up_in_time(stage: str) -> None:
    handler, words = SILENCES[stage]
    with bad_servers.listening(handler) as port:
        login = Login(name="fleet", user="root", private_key=KEY.private, connect_seconds=1.0)
        host = host_on(port, OTHER.public)
        assert words in fails_within(1.0, lambda: connect(host, login), HostSilent)


@needs_sshd
@pytest.mark.parametrize(("drops", "gets_in"), [(1, True), (3, True), (9, False)])
def test_an_sshd_with_one_too_many_at_its_door_is_asked_again(
    sshd: OpenSshServer, drops: int, gets_in: bool
) -> None:
    knocks: list[int] = []

    def door(sock: socket.socket) -> None:
        knocks.append(1)
        if len(knocks) <= drops:
            sock.sendall(b"Exceeded MaxStartups\r\n")
            sock.close()
            return
        inside = socket.create_connection(("127.0.0.1", sshd.port))
        back = threading.Thread(target=pass_on, args=(inside, sock), daemon=True)
        back.start()
        pass_on(sock, inside)

    with nothing_left_behind(), bad_servers.listening(door) as port:
        host = host_on(port, sshd.host_key.public)
        if gets_in:
            with opened(host, login_for(sshd)) as transport:
                assert transport.run(["true"], deadline=10).exit_status == 0
        else:
            with pytest.raises(HostSilent, match="does not speak SSH"):
                connect(host, login_for(sshd))
        assert len(knocks) == min(drops + 1, 4)


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what one side says, to the end of it."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def test_a_closed_port_a_lost_name_and_a_dead_address_are_told_apart() -> None:
    login = Login(name="fleet", user="root", private_key=KEY.private, connect_seconds=1.0)
    nowhere = host_on(22, address="no-such-host.invalid")

    fails_within(1.0, lambda: connect(host_on(free_port()), login), HostPortClosed)
    fails_within(1.0, lambda: connect(nowhere, login), HostNameUnknown)
    with port_that_never_answers() as port:
        fails_within(1.0, lambda: connect(host_on(port), login), HostUnreachable)


@contextlib.contextmanager
def port_that_never_answers() -> Iterator[int]:
    """A full queue of connections: the kernel drops further ones, as a firewall would."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(server.getsockname())
        yield int(server.getsockname()[1])


def test_a_server_that_never_starts_the_command_ends_at_the_deadline() -> None:
    with bad_servers.listening(bad_servers.stalls_in_command(OTHER)) as port:
        login = Login(name="fleet", user="root", private_key=KEY.private)
        with opened(host_on(port, OTHER.public), login) as transport:
            started = time.monotonic()
            with pytest.raises(DeadlinePassed):
                transport.run(["true"], deadline=1.0)
            assert time.monotonic() - started < 10


@needs_sshd
def test_a_server_killed_in_mid_command_leaves_an_unknown_end(sshd: OpenSshServer) -> None:
    with opened(host_on(sshd.port), login_for(sshd)) as transport:
        threading.Timer(0.5, sshd.kill).start()
        started = time.monotonic()
        with pytest.raises(ConnectionLost, match="unknown"):
            transport.run(["sleep", "30"], deadline=25)
        assert time.monotonic() - started < 10
        with pytest.raises(ConnectionLost, match="not started"):
            transport.run(["true"], deadline=5)


SERVER_OF_THIS_SESSION = """
p=$PPID  # not always sshd: some login shells stay in between
while :; do
  case $(cat /proc/$p/comm) in sshd*) echo $p; exit ;; esac
  p=$(cut -d' ' -f4 /proc/$p/stat)
done
"""


@needs_sshd
def test_a_frozen_server_ends_at_the_deadline(sshd: OpenSshServer) -> None:
    with opened(host_on(sshd.port), login_for(sshd)) as transport:
        pid = int(transport.run(["sh", "-c", SERVER_OF_THIS_SESSION], deadline=10).stdout)
        os.kill(pid, signal.SIGSTOP)
        try:
            fails_within(2, lambda: transport.run(["true"], deadline=2), DeadlinePassed)
        finally:
            os.kill(pid, signal.SIGCONT)


# --- bastions ---------------------------------------------------------------------------------


@needs_sshd
def test_hosts_behind_a_bastion_share_one_verified_connection_to_it(
    sshd: OpenSshServer, tmp_path: Path
) -> None:
    with OpenSshServer(tmp_path / "inner", authorized=KEY.public) as inner:
        config = (
            f"Host jump\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n"
            f"Host web1\n  HostName 127.0.0.1\n  Port {inner.port}\n  ProxyJump jump\n"
        )
        known = sshd.known_hosts_line + inner.known_hosts_line
        login = replace(login_for(sshd, config=config), known_hosts=known)
        host = host_on(22, address="web1")

        with opened(host, login) as one, opened(host, login) as two:
            assert one.run(["echo", "one"], deadline=10).stdout == b"one\n"
            assert two.run(["echo", "two"], deadline=10).stdout == b"two\n"
            assert one.peer_key == inner.host_key.public
            assert list(BASTIONS.counts().values()) == [2]
        assert sshd.log.count("Accepted publickey") == 1
        assert inner.log.count("Accepted publickey") == 2

        with pytest.raises(HostKeyRefused, match=f"127.0.0.1:{sshd.port}: the host key is unknown"):
            connect(host, replace(login, known_hosts=inner.known_hosts_line))
        with pytest.raises(HostKeyRefused, match=f"127.0.0.1:{inner.port}: the host key is unk"):
            connect(host, replace(login, known_hosts=sshd.known_hosts_line))
    with pytest.raises(HostUnreachable, match=r"bastion .* cannot reach it"):
        connect(host, login)


@needs_sshd
@pytest.mark.parametrize(
    ("more", "stopped", "kind", "words"),
    [
        ("AllowTcpForwarding no", False, HostSilent, "cannot reach it: .*rohibited"),
        ("", True, HostSilent, "its bastion is not to be had: .* the port is closed"),
    ],
)
def test_a_bastion_in_trouble_makes_no_host_behind_it_one_that_is_off(
    tmp_path: Path, more: str, stopped: bool, kind: type[HostUnreachable], words: str
) -> None:
    with OpenSshServer(tmp_path / "jump", authorized=KEY.public, more=more) as jump:
        config = (
            f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n  User {jump.user}\n"
            f"Host web1\n  HostName 127.0.0.1\n  Port {free_port()}\n  ProxyJump jump\n"
        )
        login = login_for(jump, config=config)
        if stopped:
            jump.kill()
        with pytest.raises(kind, match=words) as caught:
            connect(host_on(22, address="web1"), login)
        assert caught.value.reason != "off"


def test_a_proxy_command_is_refused_because_it_would_run_a_program_here() -> None:
    login = Login(
        name="fleet",
        user="root",
        private_key=KEY.private,
        ssh_config="Host *\n  ProxyCommand touch /tmp/wavemend-ran\n",
    )
    with pytest.raises(TransportError, match="ProxyCommand"):
        connect(host_on(free_port()), login)
