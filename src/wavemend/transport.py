"""What a connection to a host is: the values and the Protocol that all others rest on.

The implementations and their table are in `transports/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable


class WinrmAuth(StrEnum):
    """How a login proves itself to a Windows host. CredSSP is none of them: it hands the password
    to the host."""

    KERBEROS = "kerberos"
    """The worker's ticket cache; the default in a domain."""
    NTLM = "ntlm"
    """With channel binding on HTTPS."""
    CERTIFICATE = "certificate"
    """A client certificate, mapped to a local account on the host."""
    BASIC = "basic"
    """Only over HTTPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in to hosts. Secrets are already resolved and never shown."""

    name: str
    user: str
    private_key: str = field(default="", repr=False)
    """OpenSSH private key, as text. Empty: an SSH agent is used (`use_agent`)."""
    passphrase: str = field(default="", repr=False)
    use_agent: bool = False
    known_hosts: str = field(default="", repr=False)
    """Lines in OpenSSH known_hosts form. A host that is not listed here or pinned is refused."""
    ssh_config: str = ""
    """Text of an OpenSSH client configuration (`~/.ssh/config`), for HostName, Port, ProxyJump."""
    become: tuple[str, ...] = ("sudo", "-n", "--")
    """Argv prefix that makes a command run as root, by sudo or doas; empty: the login is root."""
    become_password: str = field(default="", repr=False)
    """What sudo asks for; only where `become` is sudo. Sent on stdin alone, never in an argv."""
    auth: WinrmAuth = WinrmAuth.NTLM
    """Windows only, as is everything below but the last."""
    password: str = field(default="", repr=False)
    ca: str = ""
    """PEM text of the authorities a Windows host's certificate may be signed by; empty: those this
    machine trusts."""
    certificate: str = ""
    """PEM text of the client certificate, for `certificate`."""
    certificate_key: str = field(default="", repr=False)
    plain_http: bool = False
    """HTTP instead of HTTPS, messages always encrypted: only where somebody opted in."""
    connect_seconds: float = 15.0
    """Bound on name lookup, connection, banner, key exchange and authentication together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command on a host ended.

    `exit_status` comes from the protocol, never from text. Output is bounded: of stdout at most
    `bound` bytes are kept (head and tail), of stderr `STDERR_BOUND`.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes
    dropped_bytes: int
    """Of stdout: more than 0 means that the answer is not whole."""
    seconds: float
    dropped_stderr: int = 0


OUTPUT_BOUND = 524_288
"""Bytes kept of stdout: a package list of 3,000 packages is about 300 KB; a flood is not
kept, and with its copies on the way costs less than 2 MiB."""

STDERR_BOUND = 65_536
"""Bytes kept of stderr, which only explains: a host that floods both costs no 2 MiB."""


class Transport(Protocol):
    """One open connection to one host, reused for all commands of one visit."""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command and wait for its end, at most `deadline` seconds in all.

        `argv` reaches the host's program unchanged, whatever it holds: quoting is done here.
        Raises ConnectionLost or DeadlinePassed when the end was not seen: the effect is unknown.
        """
        ...

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Like `run`, through the login's `become`. LoginRefused where that does not let it."""
        ...

    @property
    def peer_key(self) -> str:
        """The host key this connection was verified with (`<type> <base64>`); empty for local."""
        ...

    def close(self) -> None:
        """Close the connection; never raises, may be called twice."""
        ...


@runtime_checkable
class WindowsTransport(Transport, Protocol):
    """A connection to a Windows host: commands are Windows', jobs are tasks of its scheduler.

    `run_as_root` is `run`: the login is an administrator, or LoginRefused says that it is none.
    """

    @property
    def is_windows(self) -> Literal[True]:
        """Tells the two apart."""
        ...
