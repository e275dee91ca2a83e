"""A reference gives its secret to the one who asks for it, and never shows it in a message."""

import os
import traceback
from pathlib import Path

import pytest

from wavemend.errors import SecretMissing
from wavemend.references import reference_fault, resolve, uses_agent

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(reference: str, base: Path, command_seconds: float = 30) -> str:
    """The whole of what a log could hold: message, hint and trace."""
    with pytest.raises(SecretMissing) as caught:
        resolve(reference, base=base, environ=ENVIRON, command_seconds=command_seconds)
    return "".join(traceback.format_exception(caught.value))


def test_a_file_is_found_beside_the_fleet_file(tmp_path: Path) -> None:
    write(tmp_path / "id", KEY)

    assert resolve("file:id", base=tmp_path, environ={}) == KEY
    assert resolve(f"file:{tmp_path}/id", base=Path("/"), environ={}) == KEY
    assert resolve("file:~/id", base=Path("/"), environ={"HOME": str(tmp_path)}) == KEY


def test_a_single_line_comes_without_its_line_end(tmp_path: Path) -> None:
    write(tmp_path / "token", "abc \r\n")

    assert resolve("file:token", base=tmp_path, environ={}) == "abc "


def test_the_environment_is_the_one_that_was_handed_in() -> None:
    assert resolve("env:TOKEN", base=Path(), environ={"TOKEN": "abc"}) == "abc"


def test_an_agent_keeps_its_keys() -> None:
    assert uses_agent("agent:")
    assert resolve("agent:", base=Path(), environ={}) == ""


def test_a_command_runs_in_the_fleet_files_folder_without_a_shell(tmp_path: Path) -> None:
    script = write(tmp_path / "vault", '#!/bin/sh\nprintf "%s|%s|%s" "$1" "$2" "$PWD"\n', 0o700)

    found = resolve(f"command:{script} 'a b' '$HOME;'", base=tmp_path, environ=ENVIRON)

    assert found == f"a b|$HOME;|{tmp_path}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_private_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "id", KEY, mode)
    said = refusal("file:id", tmp_path)

    assert f"the private key {path} is open to others (mode {mode:04o})" in said
    assert f"chmod 600 {path}" in said
    assert "c2VjcmV0" not in said


def test_what_is_no_private_key_may_be_readable_by_all(tmp_path: Path) -> None:
    write(tmp_path / "known_hosts", "web1 ssh-ed25519 AAAA\nweb2 ssh-ed25519 AAAA\n", 0o644)

    assert resolve("file:known_hosts", base=tmp_path, environ={}).startswith("web1")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("file:missing", "missing cannot be read: No such file or directory"),
        ("file:folder", "folder is not a plain file"),
        ("file:pipe", "pipe is not a plain file"),
        ("file:blank", "file:blank is empty"),
        ("file:binary", "binary is not UTF-8 text"),
        ("file:huge", "huge is longer than 1048576 bytes"),
        ("env:ABSENT", "the environment variable ABSENT is not set"),
        ("command:/no/such/vault s3cret", "command:/no/such/vault cannot be started"),
        ("command:sh -c 'echo s3cret; echo s3cret >&2; exit 3'", "command:sh ended with status 3"),
        ("command:true s3cret", "command:true is empty"),
        ("command:printf '\\377s3cret'", "command:printf is not UTF-8 text"),
    ],
)
def test_what_cannot_be_resolved_says_where_and_never_what(
    tmp_path: Path, reference: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "blank", " \n")
    (tmp_path / "binary").write_bytes(b"\xffs3cret")
    write(tmp_path / "huge", "s3cret " * 200_000)

    said = refusal(reference, tmp_path)

    assert message in said
    assert "s3cret" not in said


def test_a_command_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    said = refusal("command:sh -c 'exec sleep 60' s3cret", tmp_path, 0.2)

    assert "command:sh did not answer within 0.2 seconds" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    "reference",
    [
        "", "hunter2", "file:", "file: ", "env:", "env:A-B", "env:1A", "env:A B", "agent:hunter2",
        "agent", "command:", "command:  ", "command:echo 'hunter2", "vault:hunter2", "FILE:/x",
        "file:/x\nhunter2", "file:/x\0hunter2", KEY,
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused_without_being_shown(
    reference: str, tmp_path: Path
) -> None:
    fault = reference_fault(reference)
    said = refusal(reference, tmp_path)

    assert fault
    assert "hunter2" not in fault + said
    assert "c2VjcmV0" not in fault + said
