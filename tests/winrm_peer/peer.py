"""One Windows host's WinRM port: a listener, its connections, its shells, and its misfortunes."""

import functools
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from tests.winrm_peer.certificates import TlsFiles
from tests.winrm_peer.commands import Command
from tests.winrm_peer.connections import Connection, Service, Tally
from tests.winrm_peer.ports import ADDRESS, Port, Threads
from tests.winrm_peer.security import Cbt, Gate, UserFile
from tests.winrm_peer.shells import Runner, Shells
from tests.winrm_peer.wsman_faults import FaultHook

_CLOSE_SECONDS = 10.0
"""How long `close` waits for runners and connections before it says which are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What has happened to a peer up to one moment."""

    connections: int
    unauthorized: int
    """Answers with status 401, those in the midst of a handshake included."""
    auths: Mapping[str | int, int]
    """By mechanism: ntlm, negotiate (NTLM within SPNEGO), kerberos, basic and certificate (these
    once a connection)."""
    operations: Mapping[str | int, int]
    faults: Mapping[str | int, int]
    """By the code of the fault."""
    injected: Mapping[str | int, int]
    decrypt_failures: int
    open_shells: int
    running_commands: int
    boots: int
    """How often it was rebooted."""


class Peer:
    """A WinRM service on a local port of its own.

    As a context manager it is started and closed, and a test that went well so far fails there
    when a shell was left open or a runner threw.

    Users are named `user` or `DOMAIN\\user`; `knows` says which programs there are, by default all.
    `idle_seconds` is when http.sys drops a silent connection; a stalled one ends after
    `stall_seconds`. `clock` ages shells, nothing else.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str],
        runner: Runner,
        tls: TlsFiles | None = None,
        cbt: Cbt | str = Cbt.NONE,
        quota: int = 30,
        envelope_kb: int = 500,
        allow_unencrypted: bool = False,
        faults: Iterable[FaultHook] = (),
        knows: Callable[[str], bool] | None = None,
        idle_seconds: float = 120.0,
        stall_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runner = runner
        self.runner_errors: list[BaseException] = []
        self._tally = Tally()
        self._user_file = UserFile(users)
        self._shells = Shells(start=self._start_runner, quota=quota, knows=knows, clock=clock)
        context, der, self.ca_pem = _tls_context(tls)
        self._service = Service(
            gate=Gate(users=users, user_file=self._user_file, cbt=Cbt(cbt), certificate_der=der),
            shells=self._shells,
            tally=self._tally,
            faults=list(faults),
            envelope_kb=envelope_kb,
            allow_unencrypted=allow_unencrypted,
            idle_seconds=idle_seconds,
            stall_seconds=stall_seconds,
            tls=context,
        )
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._port = Port()
        self._threads = Threads(f"winrm-peer-{self.port}")
        self._return: threading.Timer | None = None

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def url(self) -> str:
        scheme = "http" if self._service.tls is None else "https"
        return f"{scheme}://{ADDRESS}:{self.port}/wsman"

    @property
    def faults(self) -> list[FaultHook]:
        """Asked in order before every operation; a test may add to it at any time."""
        return self._service.faults

    def counters(self) -> Counters:
        tally = self._tally
        return Counters(
            connections=tally.total("connection"),
            unauthorized=tally.total("unauthorized"),
            auths=tally.of("auth"),
            operations=tally.of("operation"),
            faults=tally.of("fault"),
            injected=tally.of("injected"),
            decrypt_failures=tally.total("decrypt_failure"),
            open_shells=self._shells.open(),
            running_commands=self._shells.running(),
            boots=tally.total("boot"),
        )

    def start(self) -> Self:
        self.listen()
        return self

    def listen(self) -> None:
        """Take connections, again after `refuse`, on the same port."""
        if self._port.listen():
            self._threads.run("listener", self._accept)

    def refuse(self) -> None:
        """New connections are refused; the port stays this peer's own."""
        self._port.shut()

    def drop_all(self) -> None:
        """Every TCP connection breaks; shells and commands live on."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.drop()

    def reboot(self, down_seconds: float) -> None:
        """Go down now and come back by itself after so many seconds; `math.inf`: never.

        Returns at once, so a runner may call it.
        """
        self.refuse()
        self._tally.add("boot")
        self.drop_all()
        self._shells.forget()
        if self._return is not None:
            self._return.cancel()
        if math.isfinite(down_seconds):
            self._return = threading.Timer(down_seconds, self.listen)
            self._return.daemon = True
            self._return.start()

    def forget_shells(self) -> None:
        """For a test that has looked at what was left open and expects it."""
        self._shells.forget()

    def close(self) -> None:
        """End everything and wait for it. Raises: RuntimeError naming what does not end."""
        self._port.close()
        if self._return is not None:
            self._return.cancel()
            self._return.join()
        self.drop_all()
        self._shells.forget()
        self._threads.wait(_CLOSE_SECONDS)
        self._port.give_up()
        self._user_file.remove()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        open_shells = self._shells.open()
        self.close()
        if kind is None:
            for error in self.runner_errors:
                raise error
            assert open_shells == 0, f"{open_shells} shells were left open on {self.url}"

    def _accept(self) -> None:
        while (accepted := self._port.accept()) is not None:
            raw, client = accepted
            self._tally.add("connection")
            number = self._tally.total("connection")
            connection = Connection(raw, client, number, self._service)
            with self._lock:
                if not self._port.open:
                    raw.close()
                    return
                self._connections.add(connection)
            self._threads.run("connection", functools.partial(self._serve, connection))

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _start_runner(self, command: Command) -> None:
        self._threads.run("command", functools.partial(self._play, command))

    def _play(self, command: Command) -> None:
        if command.terminated.is_set():
            return
        try:
            self.runner(command)
            command.exit(0)
        except BaseException as error:  # noqa: BLE001 - kept, and raised where the test ends
            self.runner_errors.append(error)
            command.write_stderr(f"the runner threw {error!r}".encode())
            command.exit(1)


def _tls_context(tls: TlsFiles | None) -> tuple[ssl.SSLContext | None, bytes, str]:
    """The server's context, its certificate as DER, and the authority's PEM."""
    if tls is None:
        return None, b"", ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    # A client certificate is asked for and checked, and nobody has to show one.
    context.load_verify_locations(cadata=tls.ca_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context, ssl.PEM_cert_to_DER_cert(tls.certificate.read_text()), tls.ca_pem
