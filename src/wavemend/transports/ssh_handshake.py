"""From a socket to a logged-in connection: host key, login; each step bounded and named.

The order is the safety: the host key is compared before anything about the login is sent.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import paramiko

from wavemend.errors import (
    HostAnswerInvalid,
    HostKeyRefused,
    HostSilent,
    HostUnreachable,
    LoginRefused,
    TransportError,
)
from wavemend.transports.bounds import Budget
from wavemend.transports.output import readable
from wavemend.transports.ssh_known_hosts import KEY_TYPES, HostTrust, fingerprint
from wavemend.transports.ssh_route import Hop

KEEPALIVE_SECONDS = 5
"""A quiet connection sends something this often, so that USER_TIMEOUT_MS has data to judge by."""

QUIET_SECONDS = 0.5
"""How long paramiko's reading thread sleeps while a host says nothing; its own tenth of a second
costs a millisecond of CPU a second and connection."""

KEX = (
    "curve25519-sha256@libssh.org",
    "mlkem768x25519-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
)
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
"""Modern algorithms only, cheapest first; the Diffie-Hellman groups cost four times the CPU."""

SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""How a type of key signs, where the names differ; SHA-1 signatures are not offered."""

LOG = "wavemend.transports.paramiko"
# Each failure is raised once as our own error; the library's tracebacks, with words of unknown
# hosts in them, would reach the operator's terminal as well.
logging.getLogger(LOG).setLevel(logging.CRITICAL)


class _Packets(paramiko.packet.Packetizer):
    """Without paramiko's own timer of the handshake: a thread for each, to do our budget's job."""

    def start_handshake(self, timeout: float) -> None:
        """Do nothing: whoever waits for the handshake closes the connection when its time is up."""


class Connection(paramiko.Transport):
    """A client's connection that costs a fleet less."""

    def __init__(self, sock: socket.socket | paramiko.Channel) -> None:
        super().__init__(sock, packetizer_class=_Packets)
        self.set_log_channel(LOG)

    def _parse_debug(self, m: paramiko.Message) -> None:
        """Pass over what sshd says for debugging; paramiko prints it letter by letter, unread."""


@dataclass(slots=True)
class Link:
    """A connection being set up; `close` ends its socket and its threads at any stage."""

    sock: socket.socket | paramiko.Channel
    transport: paramiko.Transport
    on_close: Callable[[], None] | None = None
    """Called once at the end, to give back the bastion this connection goes through."""

    def cut(self) -> None:
        """End the connection under whoever uses it; never raises. `close` is still to be called."""
        if isinstance(self.sock, socket.socket):
            with contextlib.suppress(OSError):  # wakes the reading thread at once
                self.sock.shutdown(socket.SHUT_RDWR)
        self.transport.close()

    def close(self) -> None:
        """Close at whatever stage; never raises, may be called twice."""
        self.cut()
        self.sock.close()
        if self.transport.is_alive() and self.transport is not threading.current_thread():
            self.transport.join(2.0)
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()


def shake_hands(link: Link, hop: Hop, trust: HostTrust, budget: Budget) -> str:
    """Agree on keys with the server and verify its host key; return it as `<type> <base64>`.

    Raises HostSilent, HostKeyRefused or HostAnswerInvalid. Nothing about the login is sent here.
    """
    transport = link.transport
    _choose_algorithms(transport, trust)
    # Ours is the bound; paramiko's own must not end a stage earlier, nor its threads live on.
    transport.banner_timeout = budget.left() + 5
    done = threading.Event()
    transport.start_client(event=done)
    if not done.wait(budget.left()):
        stage = "stops in the key exchange" if transport.remote_version else "does not speak SSH"
        raise HostSilent(
            f"{hop}: accepts connections and {stage} (waited {budget.seconds:g} s)",
            hint="an overloaded or frozen host, or something else on this port",
        )
    if not transport.is_active():
        raise _broken_off(hop, transport, trust)
    key = transport.get_remote_server_key()
    presented = f"{key.get_name()} {key.get_base64()}"
    verify(hop, trust, presented)
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return presented


def _choose_algorithms(transport: paramiko.Transport, trust: HostTrust) -> None:
    """Offer modern algorithms, and only the known key's type: a host has several keys."""
    options = transport.get_security_options()
    options.kex = tuple(name for name in KEX if name in options.kex)
    options.ciphers = tuple(name for name in CIPHERS if name in options.ciphers)
    options.digests = tuple(name for name in MACS if name in options.digests)
    known = {key.split()[0] for key in trust.accepted}
    kinds = [kind for kind in KEY_TYPES if kind in known] or KEY_TYPES
    options.key_types = tuple(name for kind in kinds for name in SIGNATURES.get(kind, (kind,)))


def _broken_off(hop: Hop, transport: paramiko.Transport, trust: HostTrust) -> TransportError:
    failure = transport.get_exception()
    words = readable(str(failure or "the server disconnected"))
    if not transport.remote_version:
        return HostSilent(
            f"{hop}: accepts the connection and does not speak SSH: {words}",
            hint="too many connections at once (MaxStartups of sshd), or not an SSH server",
        )
    if isinstance(failure, paramiko.ssh_exception.IncompatiblePeer):
        if "host key" in words:
            return _refused(hop, trust, "no key of the expected type")
        return HostAnswerInvalid(
            f"{hop}: no common modern algorithm: {words}",
            hint="wavemend offers curve25519 or ECDH, AES-GCM or AES-CTR, and SHA-2; update sshd",
        )
    if failure is None or isinstance(failure, EOFError | OSError):
        return HostSilent(f"{hop}: breaks off in the key exchange: {words}")
    return HostAnswerInvalid(f"{hop}: the key exchange failed: {words}")


def verify(hop: Hop, trust: HostTrust, presented: str) -> None:
    """Raise HostKeyRefused unless the presented key is a known one that is not revoked."""
    if presented in trust.revoked:
        raise HostKeyRefused(
            f"{hop}: presents the key {fingerprint(presented)}, which known_hosts marks as"
            " revoked; no credential was sent",
            hint="give the host a new key and list that one",
        )
    if presented not in trust.accepted:
        raise _refused(hop, trust, fingerprint(presented))


def _refused(hop: Hop, trust: HostTrust, presented: str) -> HostKeyRefused:
    if trust.accepted:
        expected = " or ".join(fingerprint(key) for key in trust.accepted)
        return HostKeyRefused(
            f"{hop}: the host key has changed: expected {expected}, presented {presented};"
            " no credential was sent",
            hint="if the host was reinstalled, compare the new fingerprint on its console and"
            " replace the pinned key; if not, somebody may stand in between",
        )
    if trust.has_authority:
        return HostKeyRefused(
            f"{hop}: known only through a @cert-authority line, and wavemend verifies plain keys;"
            f" presented {presented}; no credential was sent",
            hint="add the host's own key to known_hosts or to the host's `host_keys`",
        )
    return HostKeyRefused(
        f"{hop}: the host key is unknown: expected a key pinned in `host_keys` or listed in the"
        f" login's known_hosts, presented {presented}; no credential was sent",
        hint="compare the fingerprint on the host's console (ssh-keygen -lf"
        " /etc/ssh/ssh_host_ed25519_key.pub), then list the key",
    )


def log_in(
    link: Link, hop: Hop, login_name: str, keys: Sequence[paramiko.PKey], budget: Budget
) -> None:
    """Offer the keys one after the other. Raises LoginRefused, HostSilent or HostUnreachable."""
    transport = link.transport
    for key in keys:
        done = threading.Event()
        try:
            transport.auth_publickey(hop.user, key, done)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _dropped(hop, str(error)) from error
        if not done.wait(budget.left()):
            raise HostSilent(
                f"{hop}: stops in the login (waited {budget.seconds:g} s)",
                hint="an overloaded or frozen host, or a directory service that does not answer",
            )
        if transport.is_authenticated():
            link.sock.settimeout(QUIET_SECONDS)
            return
        failure = transport.get_exception()
        if isinstance(failure, EOFError | OSError):
            raise _dropped(hop, str(failure))
        if not transport.is_active():
            break  # a proper goodbye of the server: it wants no further attempt
    raise LoginRefused(
        f"{hop}: refuses the login {login_name!r} as user {hop.user!r} by public key",
        hint="is the public key in the user's authorized_keys, and may the user log in?",
    )


def _dropped(hop: Hop, words: str) -> HostUnreachable:
    return HostUnreachable(f"{hop}: the connection broke during the login: {readable(words)}")
