"""Root is had by sudo, with or without a password, or by doas: once, unseen, or not at all."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.contract.ssh_bench import KEY, host_on, login_for, needs_sshd, opened
from wavemend.errors import LoginRefused
from wavemend.testing.openssh import OpenSshServer
from wavemend.transport import Login
from wavemend.transports import become
from wavemend.transports.ssh import GUARD, connect

USER = "wmuser"
PASSWORD = 'r1ght "pass$word'
HASH = (
    "$6$wavemend$7mJfr.CQL5DSR8vIDvvPB98Eth/8APohPfSb5Rs3STqVve7n"
    "Dh388vFQlIOpLjG7WoBecGSRCWaQWXXRN9AsQ/"
)
SUDO = ("sudo", "-n", "--")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PAM = """\
auth required pam_faillock.so preauth dir={folder}/tally deny=20 nodelay
auth sufficient pam_unix.so nodelay
auth required pam_faillock.so authfail dir={folder}/tally deny=20 nodelay
auth required pam_deny.so
account required pam_permit.so
session required pam_permit.so
"""

ENTER = """\
mount -t overlay -o "lowerdir=$1/etc:/etc" wavemend-etc /etc || exit 99
shift
exec "$@"
"""
"""Runs a command that sees other files in /etc; this machine's own stay as they are."""


@dataclass(frozen=True)
class SudoHost:
    """A real sshd whose user becomes root by a real sudo or doas, with rules of the test's own."""

    server: OpenSshServer
    folder: Path

    def login(self, password: str = "", argv: tuple[str, ...] = SUDO) -> Login:
        return replace(login_for(self.server), become=argv, become_password=password)

    def sudo(self, *lines: str) -> None:
        """Put these rules in force: /etc/sudoers of the host."""
        rules = [f'Defaults secure_path="{PATH}"', f"Defaults logfile={self.folder}/sudo.log"]
        self._write("sudoers", [*rules, "Defaults lecture=never", *lines], 0o440)

    def doas(self, *lines: str) -> None:
        """Put these rules in force: /etc/doas.conf of the host."""
        self._write("doas.conf", list(lines), 0o600)

    def _write(self, name: str, lines: list[str], mode: int) -> None:
        # In place: the overlay shows a file as it was opened, not one that was moved over it.
        path = self.folder / "etc" / name
        path.chmod(0o600)
        path.write_text("\n".join([*lines, ""]))
        path.chmod(mode)

    @property
    def log(self) -> str:
        """What sudo itself logged."""
        path = self.folder / "sudo.log"
        return path.read_text() if path.exists() else ""

    def failures(self) -> int:
        """Failed passwords as pam_faillock counted them."""
        argv = ["faillock", "--dir", str(self.folder / "tally"), "--user", USER]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return sum(line.endswith("V") for line in said.splitlines())


def _fill(folder: Path) -> None:
    (folder / "etc/pam.d").mkdir(parents=True)
    (folder / "tally").mkdir()
    (folder / "etc/pam.d/sudo").write_text(PAM.format(folder=folder))
    for name, line in (
        ("passwd", f"{USER}:x:60001:60001::/tmp:/bin/sh\n"),
        ("group", f"{USER}:x:60001:\n"),
        ("shadow", f"{USER}:{HASH}:19000:0:99999:7:::\n"),
    ):
        (folder / "etc" / name).write_text(Path("/etc", name).read_text() + line)
    (folder / "etc/shadow").chmod(0o600)
    for name in ("sudoers", "doas.conf"):
        (folder / "etc" / name).touch(mode=0o600)


@pytest.fixture(scope="module")
def machine() -> Iterator[SudoHost]:
    if os.geteuid() != 0 or not shutil.which("sudo"):
        pytest.skip("needs root, for an account that only a test's own sshd sees, and sudo")
    # Not below pytest's folder: the account has to reach its authorized_keys.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        _fill(folder)
        before = ("unshare", "--mount", "/bin/sh", "-c", ENTER, "enter", str(folder))
        if subprocess.run([*before, "true"], check=False).returncode:
            pytest.skip("mounting an overlay over /etc is not allowed here")
        with OpenSshServer(
            folder / "sshd", authorized=KEY.public, before=before, user=USER
        ) as server:
            yield SudoHost(server, folder)


@pytest.fixture
def host(machine: SudoHost) -> SudoHost:
    for guard in (GUARD, become.FLEET, become.HOSTS):
        guard.forget()
    for path in (machine.folder / "tally").iterdir():
        path.unlink()
    (machine.folder / "sudo.log").unlink(missing_ok=True)
    return machine


pytestmark = needs_sshd

INPUT = bytes(range(256)) * 400 + f"\n{PASSWORD}\n{become.MARK}\n{become.MARK}\n".encode() * 3

ASKED = f"{USER} ALL=(ALL) ALL"
FREE = f"{USER} ALL=(ALL) NOPASSWD: ALL"
PTY = "Defaults use_pty"

WAYS: dict[str, tuple[Callable[[SudoHost], None], str, tuple[str, ...]]] = {
    "sudo-free": (lambda host: host.sudo(FREE), "", SUDO),
    "sudo-free-pty": (lambda host: host.sudo(PTY, FREE), "", SUDO),
    "sudo-password": (lambda host: host.sudo(ASKED), PASSWORD, SUDO),
    "sudo-password-pty": (lambda host: host.sudo(PTY, ASKED), PASSWORD, SUDO),
    "sudo-password-not-asked": (lambda host: host.sudo(FREE), PASSWORD, SUDO),
    "sudo-password-not-asked-pty": (lambda host: host.sudo(PTY, FREE), PASSWORD, SUDO),
    "sudo-password-remembered": (
        lambda host: host.sudo("Defaults timestamp_type=global", ASKED),
        PASSWORD,
        SUDO,
    ),
    "sudo-password-and-lecture": (
        lambda host: host.sudo("Defaults lecture=once", ASKED),
        PASSWORD,
        ("/usr/bin/sudo", "-H"),
    ),
    "doas": (lambda host: host.doas(f"permit nopass {USER}"), "", ("doas", "-n", "--")),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_command_runs_as_root_and_its_input_arrives_byte_for_byte(
    host: SudoHost, way: str
) -> None:
    rules, password, argv = WAYS[way]
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is not on this machine")
    rules(host)

    with opened(host_on(host.server.port), host.login(password, argv)) as transport:
        assert transport.run(["id", "-u"], deadline=10).stdout == b"60001\n"
        for data in (b"", b"\n", INPUT):
            script = 'id -u; echo "$1" >&2; sha256sum; exit 7'
            result = transport.run_as_root(
                ["sh", "-c", script, "sh", "a 'b'\n$c"], stdin=data, deadline=20
            )
            assert result.exit_status == 7
            assert result.stdout == f"0\n{hashlib.sha256(data).hexdigest()}  -\n".encode()
            assert result.stderr == b"a 'b'\n$c\n"
        missing = transport.run_as_root(["wavemend-no-such-program"], deadline=20)
        assert (missing.exit_status, missing.stdout) in {(127, b""), (1, b"")}
    assert host.failures() == 0


def test_the_environment_of_a_script_is_what_it_exports_itself(host: SudoHost) -> None:
    """env_reset and secure_path of sudo take the login's away; the script's own comes after."""
    host.sudo("Defaults env_reset", ASKED)
    script = b'printf "%s\\n" "$PATH" "$HOME"; export DEBIAN_FRONTEND=noninteractive; env'

    with opened(host_on(host.server.port), host.login(PASSWORD)) as transport:
        said = transport.run_as_root(["/bin/sh", "-s"], stdin=script, deadline=10).stdout.decode()

    assert said.splitlines()[0] == PATH
    assert "DEBIAN_FRONTEND=noninteractive" in said


def _words_of_all_processes() -> Iterator[bytes]:
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - glob fails on those that end
        for part in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                yield Path("/proc", name, part).read_bytes()


def test_a_password_is_in_no_argv_no_environment_and_no_log(host: SudoHost) -> None:
    host.sudo("Defaults log_allowed, log_denied", ASKED)
    login = host.login(PASSWORD)
    assert PASSWORD not in repr(login)

    with opened(host_on(host.server.port), login) as transport:
        runs = threading.Thread(target=lambda: transport.run_as_root(["sleep", "1.2"], deadline=20))
        runs.start()
        seen = False
        while runs.is_alive():
            for data in _words_of_all_processes():
                assert PASSWORD.encode() not in data
                seen |= b"sleep\x001.2" in data
            time.sleep(0.05)
        runs.join()
    assert seen
    assert "COMMAND=" in host.log
    assert PASSWORD not in host.log + host.server.log


def test_a_wrong_password_is_sent_once_and_never_again_to_that_host(host: SudoHost) -> None:
    host.sudo(ASKED)
    login = host.login("wrong")

    with opened(host_on(host.server.port), login) as transport:
        with pytest.raises(LoginRefused, match="does not accept the login's password") as caught:
            transport.run_as_root(["cat"], stdin=b"one\ntwo\nthree\n", deadline=20)
        with pytest.raises(LoginRefused, match="refused once and is not tried again"):
            transport.run_as_root(["cat"], stdin=b"one\ntwo\nthree\n", deadline=20)
        assert transport.run(["true"], deadline=10).exit_status == 0
    with (
        opened(host_on(host.server.port), login) as transport,
        pytest.raises(LoginRefused, match="refused once and is not tried again"),
    ):
        transport.run_as_root(["true"], deadline=20)

    assert "wrong" not in str(caught.value).replace("wrong password", "")
    assert host.log.count("incorrect password attempt") == 1
    assert "1 incorrect password attempt" in host.log
    # sudo asks again, and the end of input counts as well where pam_faillock counts.
    assert host.failures() <= 2


def test_a_wrong_password_is_tried_on_three_hosts_and_not_on_the_fleet(host: SudoHost) -> None:
    host.sudo(ASKED)
    refusals = []
    for number in range(5):
        where = replace(host_on(host.server.port), name=f"web{number}")
        with opened(where, host.login("wrong")) as transport:
            with pytest.raises(LoginRefused) as caught:
                transport.run_as_root(["true"], deadline=20)
            refusals.append(str(caught.value))

    assert host.log.count("incorrect password attempt") == 3
    assert ["refused 3 times in a row" in words for words in refusals] == [False] * 3 + [True] * 2


def test_a_host_that_does_not_ask_says_nothing_about_the_password(host: SudoHost) -> None:
    """Between wrong answers it neither proves the password nor starts the count anew."""
    for number in range(4):
        where = replace(host_on(host.server.port), name=f"web{number}")
        with opened(where, host.login("wrong")) as transport:
            host.sudo(FREE)
            with contextlib.nullcontext() if number < 3 else pytest.raises(LoginRefused):
                transport.run_as_root(["true"], deadline=20)
        host.sudo(ASKED)
        where = replace(where, name=f"other{number}")
        with (
            opened(where, host.login("wrong")) as transport,
            pytest.raises(LoginRefused),
        ):
            transport.run_as_root(["true"], deadline=20)

    assert host.log.count("incorrect password attempt") == 3


REFUSALS: dict[str, tuple[Callable[[SudoHost], None], str, tuple[str, ...], str]] = {
    "password-needed": (lambda host: host.sudo(ASKED), "", SUDO, "a password is required"),
    "no-rule": (lambda host: host.sudo(""), PASSWORD, SUDO, "not in the sudoers file"),
    "no-rule-no-password": (lambda host: host.sudo(""), "", SUDO, "password is required"),
    "requiretty": (
        lambda host: host.sudo("Defaults requiretty", FREE), "", SUDO, "must have a tty",
    ),
    "requiretty-password": (
        lambda host: host.sudo("Defaults requiretty", ASKED), PASSWORD, SUDO, "must have a tty",
    ),
    "sudo-missing": (
        lambda host: host.sudo(FREE), "", ("/nowhere/sudo", "-n", "--"), "No such file",
    ),
    "sudo-missing-password": (
        lambda host: host.sudo(FREE), PASSWORD, ("/nowhere/sudo",), "No such file",
    ),
    "other-command": (
        lambda host: host.sudo(f"{USER} ALL=(ALL) NOPASSWD: /bin/false"),
        "",
        SUDO,
        "a password is required",
    ),
    "doas-no-rule": (lambda host: host.doas(""), "", ("doas", "-n"), "not permitted"),
    "doas-password": (
        lambda host: host.doas(f"permit {USER}"), "", ("doas", "-n"), "Authentication required",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", REFUSALS)
def test_a_login_that_may_not_is_refused_in_words_and_nothing_runs(
    host: SudoHost, way: str
) -> None:
    rules, password, argv, words = REFUSALS[way]
    if argv[0] == "doas" and not shutil.which("doas"):
        pytest.skip("doas is not on this machine")
    rules(host)

    with opened(host_on(host.server.port), host.login(password, argv)) as transport:
        with pytest.raises(LoginRefused, match=words):
            transport.run_as_root(["touch", f"{host.folder}/ran"], deadline=20)
        assert transport.run(["true"], deadline=10).exit_status == 0
    assert not (host.folder / "ran").exists()


@pytest.mark.parametrize(
    ("argv", "password", "words"),
    [
        (("su", "-c"), "", "su is not supported"),
        (("/bin/su",), "x", "su is not supported"),
        (("doas", "-n"), "x", "doas cannot be given a password"),
        (SUDO, "two\nlines", "not a single line"),
        (SUDO, become.MARK, "not a single line"),
    ],
)
def test_what_cannot_work_is_refused_before_a_connection_is_made(
    host: SudoHost, argv: tuple[str, ...], password: str, words: str
) -> None:
    connections = host.server.log.count("Connection from")

    with pytest.raises(LoginRefused, match=words):
        connect(host_on(host.server.port), host.login(password, argv))

    assert host.server.log.count("Connection from") == connections
