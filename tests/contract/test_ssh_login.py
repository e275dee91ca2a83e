"""A wrong login is told in words, and never tried on a whole fleet."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
    LoginRefused,
)
from wavemend.testing.keys import free_port
from wavemend.testing.openssh import OpenSshServer
from wavemend.transport import Login
from wavemend.transports.ssh import connect


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[OpenSshServer]:
    with OpenSshServer(tmp_path / "sshd", authorized=KEY.public) as server:
        yield server


# --- who may log in ---------------------------------------------------------------------------


@needs_sshd
def test_a_wrong_key_is_refused_and_after_three_refusals_nobody_is_asked(
    sshd: OpenSshServer,
) -> None:
    login = replace(login_for(sshd), private_key=OTHER.private)
    for _ in range(3):
        with pytest.raises(LoginRefused, match="refuses the login 'fleet' as user"):
            connect(host_on(sshd.port), login)
    connections = sshd.log.count("Connection from")

    with pytest.raises(LoginRefused, match="refused 3 times in a row"):
        connect(host_on(sshd.port), login)
    assert sshd.log.count("Connection from") == connections

    with opened(host_on(sshd.port), login_for(sshd)):
        pass  # another credential under the same name starts anew


@needs_sshd
def test_many_hosts_at_once_cannot_overrun_the_limit_of_refusals(sshd: OpenSshServer) -> None:
    login = replace(login_for(sshd), private_key=OTHER.private)
    refused: list[str] = []

    def attempt() -> None:
        with contextlib.suppress(LoginRefused):
            connect(host_on(sshd.port), login)
        refused.append("x")

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 12
    assert sshd.log.count("Failed publickey") + sshd.log.count("userauth-request for user") <= 6
    assert sshd.log.count("method publickey [preauth]") <= 3


def test_a_login_without_any_key_says_what_is_missing() -> None:
    login = Login(name="fleet", user="root")
    with pytest.raises(LoginRefused, match="neither a private key nor `use_agent`"):
        connect(host_on(free_port()), login)


def test_a_key_that_cannot_be_read_is_not_quoted() -> None:
    login = Login(name="fleet", user="root", private_key="-----BEGIN secret-sauce-----")
    with pytest.raises(LoginRefused, match="cannot be read") as caught:
        connect(host_on(free_port()), login)
    assert "sauce" not in str(caught.value)


@needs_sshd
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_all_modern_types_log_in_with_their_passphrase(kind: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", "open sesame", "-f", str(key)]
    subprocess.run(argv, check=True)
    public = key.with_suffix(".pub").read_text()
    with OpenSshServer(tmp_path / "sshd", authorized=public) as server:
        login = replace(login_for(server), private_key=key.read_text())
        with pytest.raises(LoginRefused, match="cannot be read"):
            connect(host_on(server.port), login)
        with opened(host_on(server.port), replace(login, passphrase="open sesame")) as transport:
            assert transport.run(["echo", kind], deadline=10).exit_status == 0


@needs_sshd
def test_an_agent_is_asked_only_where_the_login_says_so(
    sshd: OpenSshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    (tmp_path / "key").write_text(KEY.private)
    (tmp_path / "key").chmod(0o600)
    login = replace(login_for(sshd), private_key="", use_agent=True)
    with pytest.raises(LoginRefused, match="none is running"):
        connect(host_on(sshd.port), login)

    argv = ["ssh-agent", "-D", "-a", str(tmp_path / "agent")]
    agent = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        while subprocess.run(["ssh-add", "-q", str(tmp_path / "key")], check=False).returncode:
            time.sleep(0.05)
        with opened(host_on(sshd.port), login) as transport:
            assert transport.run(["true"], deadline=10).exit_status == 0
        with pytest.raises(LoginRefused, match="neither"):
            connect(host_on(sshd.port), replace(login, use_agent=False))
    finally:
        agent.terminate()
        agent.wait()


def sudo_that(path: Path, script: str) -> tuple[str, ...]:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return (str(path), "-n", "--")


@needs_sshd
def test_sudo_that_asks_for_a_password_is_a_refused_login(
    sshd: OpenSshServer, tmp_path: Path
) -> None:
    become = sudo_that(tmp_path / "sudo", "echo 'sudo: a password is required' >&2; exit 1")

    with opened(host_on(sshd.port), replace(login_for(sshd), become=become)) as transport:
        with pytest.raises(LoginRefused, match="password is required"):
            transport.run_as_root(["id"], deadline=10)
        assert transport.run(["true"], deadline=10).exit_status == 0


@needs_sshd
@pytest.mark.parametrize(
    "script",
    [
        "echo 'backup: a password is required' >&2; exit 1",
        "echo working >&2; echo 'sudo: a password is required' >&2; exit 1",
        "echo 'sudo: a password is required' >&2; exit 2",
        "echo 'sudo: a password is required'; exit 1",
    ],
)
def test_the_words_of_a_command_are_not_taken_for_those_of_sudo(
    sshd: OpenSshServer, tmp_path: Path, script: str
) -> None:
    become = sudo_that(tmp_path / "sudo", 'shift 2; exec "$@"')

    with opened(host_on(sshd.port), replace(login_for(sshd), become=become)) as transport:
        result = transport.run_as_root(["sh", "-c", script], deadline=10)
    assert result.exit_status in {1, 2}
