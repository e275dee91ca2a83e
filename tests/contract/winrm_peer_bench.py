"""Two unmodified clients on the test peer, and the commands its runners play."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.protocol import Protocol

from tests.winrm_peer import Command, Peer, run_authority

USERS = {"admin": "pässword 1", r"ACME\svc-patch": "other"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    stdout: bytes
    stderr: bytes
    code: int | None


def repeats(command: Command) -> None:
    """Prints its line and what it was sent; the last word of the line is its exit code."""
    command.write_stdout(command.line.encode() + b"|" + command.stdin.read())
    command.write_stderr(b"as " + command.user.encode())
    command.exit(int(command.line.rsplit(" ", 1)[-1]))


def waits(command: Command) -> None:
    """Prints nothing until somebody ends it."""
    command.terminated.wait()


def trusted(folder: Path) -> str:
    """The run's authority as the file clients want."""
    path = folder / "ca.pem"
    path.write_text(run_authority().pem)
    return str(path)


def pywinrm_on(peer: Peer, ca: str | None = None, **options: object) -> Protocol:
    """As the transport sets pywinrm up: full URL, explicit authority, no proxy."""
    settings: dict[str, object] = {
        "transport": "ntlm",
        "username": "admin",
        "password": USERS["admin"],
        "ca_trust_path": ca,
        "proxy": None,
        "message_encryption": "always" if ca is None else "auto",
        "operation_timeout_sec": 5,
        "read_timeout_sec": 8,
    }
    return Protocol(peer.url, **{**settings, **options})  # type: ignore[arg-type]


def ran_by_pywinrm(
    client: Protocol, line: str, stdin: bytes = b"", *, skip_cmd_shell: bool = True
) -> Ran:
    shell = client.open_shell(codepage=65001, noprofile=True, idle_timeout="PT180S")
    program, *words = line.split(" ")
    command = client.run_command(
        shell, program, words, console_mode_stdin=False, skip_cmd_shell=skip_cmd_shell
    )
    half = len(stdin) // 2
    client.send_command_input(shell, command, stdin[:half])
    client.send_command_input(shell, command, stdin[half:], end=True)
    stdout, stderr, code = client.get_command_output(shell, command)
    client.cleanup_command(shell, command)
    client.close_shell(shell)
    return Ran(stdout=stdout, stderr=stderr, code=code)


def pypsrp_on(peer: Peer, ca: str | None = None, **options: object) -> WSMan:
    settings: dict[str, object] = {
        "port": peer.port,
        "ssl": ca is not None,
        "username": "admin",
        "password": USERS["admin"],
        "auth": "ntlm",
        "cert_validation": ca or True,
        "no_proxy": True,
        "operation_timeout": 5,
        "read_timeout": 8,
        "reconnection_retries": 0,
    }
    return WSMan("127.0.0.1", **{**settings, **options})  # type: ignore[arg-type]


def ran_by_pypsrp(
    client: WSMan,
    line: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Ran:
    program, *words = line.split(" ")
    with client, WinRS(client, environment=dict(environment) if environment else None) as shell:
        process = Process(shell, program, words)
        process.begin_invoke()
        process.send(stdin, end=True)
        process.end_invoke()
        process.signal(SignalCode.CTRL_C)
    return Ran(stdout=process.stdout, stderr=process.stderr, code=process.rc)
