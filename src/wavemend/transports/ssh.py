"""SSH by paramiko: pinned host keys, bounded waits, one connection for all commands of a visit.

What decides is in the neighbours: `ssh_route` (which way), `ssh_known_hosts` (which key),
`ssh_handshake` (in which order), `login_guard` (how many at once), `ssh_exec` (one command).
"""

import random
import socket
import threading
import time
from collections.abc import Sequence

import paramiko

from wavemend.errors import (
    ConnectionLost,
    DeadlinePassed,
    HostKeyRefused,
    HostSilent,
    HostUnreachable,
)
from wavemend.hosts import Host
from wavemend.transport import OUTPUT_BOUND, CommandResult, Login
from wavemend.transports.become import Root, become_argv
from wavemend.transports.bounds import Budget
from wavemend.transports.login_guard import ConnectLimiter, LoginGuard
from wavemend.transports.output import quote, readable
from wavemend.transports.sockets import Place, open_socket
from wavemend.transports.ssh_bastions import Bastion, BastionPool
from wavemend.transports.ssh_exec import run_command
from wavemend.transports.ssh_handshake import Connection, Link, log_in, shake_hands
from wavemend.transports.ssh_keys import credential_id, offered_keys
from wavemend.transports.ssh_known_hosts import HostTrust, normal_key, parse_known_hosts
from wavemend.transports.ssh_route import Hop, route

CONNECT_FAILED = 2
"""A bastion tried and did not get through (RFC 4254, 5.1)."""

HUNG_UP_PAUSES = (0.4, 1.2, 2.5)
"""Seconds before a server that hung up is tried again: with MaxStartups at its usual 10:30:100 and
a third of all dropped, four tries in a row are dropped once in a hundred times."""

LONGEST_JITTER = 0.02
"""Seconds. Spreads the starts of a burst; 500 hosts lose a fraction of a second by it."""

GUARD = LoginGuard()
LIMITER = ConnectLimiter(jitter=lambda: random.SystemRandom().uniform(0, LONGEST_JITTER))
BASTIONS = BastionPool()
"""Per process: what is bounded here is the fleet, not one host."""


class SshTransport:
    """One verified, logged-in connection. See `Transport` for what it promises."""

    def __init__(
        self,
        name: str,
        link: Link,
        peer_key: str,
        bastion: Bastion | None,
        *,
        login: Login,
        become: tuple[str, ...],
    ) -> None:
        self._name = name
        self._link = link
        self._peer_key = peer_key
        self._root = Root(host=name, run_plain=self.run, become=become, login=login)
        self._bastion = bastion
        self._closing = threading.Lock()

    @property
    def peer_key(self) -> str:
        """The host key this connection was verified with, as `<type> <base64>`."""
        return self._peer_key

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Run a command and wait for its end, at most `deadline` seconds in all."""
        command = quote(argv)
        if not self._link.transport.is_active():
            raise ConnectionLost(
                f"{self._name}: the connection is closed; the command was not started",
                hint="connect again",
            )
        try:
            return run_command(
                self._link, self._name, command, stdin=stdin, deadline=deadline, bound=bound
            )
        except DeadlinePassed:
            self.close()
            raise

    def run_as_root(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float, bound: int = OUTPUT_BOUND
    ) -> CommandResult:
        """Like `run`, through the login's `become`."""
        return self._root.run(argv, stdin=stdin, deadline=deadline, bound=bound)

    def close(self) -> None:
        """Close the connection and give the bastion back; never raises, may be called twice."""
        self._link.close()
        with self._closing:
            bastion, self._bastion = self._bastion, None
        if bastion is not None:
            BASTIONS.release(bastion)


def connect(host: Host, login: Login) -> SshTransport:
    """Open a verified, logged-in connection to a host, through its bastions if it has any.

    Each connection on the way is set up within `login.connect_seconds`; waiting for a free slot
    of this process is not counted. Raises a TransportError, and leaves nothing open then.
    """
    become = become_argv(login)
    GUARD.check(login.name, credential_id(login))
    hops = route(host, login)
    try:
        bastion = _reach_bastion(hops[:-1], login)
    except HostUnreachable as error:
        # Nothing is known of the host itself: above all not that it is off, and to be switched on.
        raise HostSilent(
            f"{hops[-1]}: no way there, its bastion is not to be had: {error.message}",
            hint=error.hint or "look at the bastion",
        ) from error
    try:
        link, peer_key = _open(hops[-1], login, bastion)
    except BaseException:
        if bastion is not None:
            BASTIONS.release(bastion)
        raise
    return SshTransport(host.name, link, peer_key, bastion, login=login, become=become)


def _reach_bastion(hops: tuple[Hop, ...], login: Login) -> Bastion | None:
    """Lease the last bastion of a chain; one bastion of it keeps the one before it open."""
    if not hops:
        return None

    def reach() -> Link:
        before = _reach_bastion(hops[:-1], login)
        try:
            link, _ = _open(hops[-1], login, before)
        except BaseException:
            if before is not None:
                BASTIONS.release(before)
            raise
        if before is not None:
            _release_with(link, before)
        return link

    key = (login.name, credential_id(login), *(f"{hop.user}@{hop}" for hop in hops))
    return BASTIONS.lease(key, reach)


def _release_with(link: Link, before: Bastion) -> None:
    """Give the bastion before back when the connection through it ends."""
    link.on_close = lambda: BASTIONS.release(before)


class _HungUp(Exception):
    """A server closed the connection before it spoke, with `left` seconds to go."""

    def __init__(self, error: HostSilent, left: float) -> None:
        super().__init__(str(error))
        self.error, self.left = error, left


def _open(hop: Hop, login: Login, bastion: Bastion | None) -> tuple[Link, str]:
    """Open a connection; anew where the server hangs up before it speaks, in the time left.

    So does sshd with one too many at its door (MaxStartups): a host that strangers knock at all
    day is not silent. Nothing was said to it yet.
    """
    seconds = login.connect_seconds
    for pause in HUNG_UP_PAUSES:
        try:
            return _set_up(hop, login, bastion, seconds)
        except _HungUp as told:
            if told.left <= pause:
                raise told.error from None
            seconds = told.left - pause
        time.sleep(pause)
    try:
        return _set_up(hop, login, bastion, seconds)
    except _HungUp as told:
        raise told.error from None


def _set_up(hop: Hop, login: Login, bastion: Bastion | None, seconds: float) -> tuple[Link, str]:
    trust = _trust(hop, login)
    with offered_keys(login) as keys, LIMITER.slot():
        budget = Budget(seconds)
        sock = _channel(hop, bastion, budget) if bastion else _socket(hop, budget)
        link = Link(sock, Connection(sock))
        try:
            peer_key = shake_hands(link, hop, trust, budget)
            waiting = time.monotonic()
            with GUARD.attempt(login.name, credential_id(login), host=str(hop)):
                budget.extend(time.monotonic() - waiting)
                log_in(link, hop, login.name, keys, budget)
        except HostSilent as error:
            link.close()
            if not link.transport.remote_version and budget.left() > 0:
                raise _HungUp(error, budget.left()) from error
            raise
        except BaseException:
            link.close()
            raise
    return link, peer_key


def _trust(hop: Hop, login: Login) -> HostTrust:
    """Return what is known of a hop's key: pins come first, revocations always count."""
    listed = parse_known_hosts(login.known_hosts).look_up(hop.address, hop.port)
    if not hop.pins:
        return listed
    try:
        pins = tuple(normal_key(pin) for pin in hop.pins)
    except ValueError as error:
        raise HostKeyRefused(
            f"{hop}: a key in the host's `host_keys` cannot be read: {error}",
            hint="write `<type> <base64>` as in /etc/ssh/ssh_host_ed25519_key.pub",
        ) from error
    return HostTrust(accepted=pins, revoked=listed.revoked, has_authority=False)


def _socket(hop: Hop, budget: Budget) -> socket.socket:
    return open_socket(Place(hop.address, hop.port, "sshd"), budget)


def _channel(hop: Hop, bastion: Bastion, budget: Budget) -> paramiko.Channel:
    transport = bastion.link.result().transport
    through = bastion.key[-1]
    try:
        return transport.open_channel(
            "direct-tcpip", (hop.address, hop.port), ("127.0.0.1", 0), timeout=budget.left()
        )
    except paramiko.ChannelException as error:
        # The bastion alone knows whether the port was closed or nobody answered; where it did not
        # even try, nothing is known of the host.
        words = readable(error.text)
        kind = HostUnreachable if error.code == CONNECT_FAILED else HostSilent
        raise kind(f"{hop}: bastion {through} cannot reach it: {words}") from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise HostSilent(
            f"{hop}: no way through bastion {through}: {readable(str(error))}",
            hint="look at the bastion",
        ) from error
