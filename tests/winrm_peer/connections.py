"""One TCP connection of a peer: HTTP, who is asking, sealed messages, and trouble on demand."""

import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import NoReturn

from tests.winrm_peer.envelopes import (
    Request,
    answer,
    fault_answer,
    identify_answer,
    read_request,
)
from tests.winrm_peer.security import (
    MUTUAL_TLS,
    SEALED_TYPE,
    Gate,
    Handshake,
    Refused,
    Undecryptable,
    header_of,
    token_of,
)
from tests.winrm_peer.shells import Caller, Shells
from tests.winrm_peer.wsman_faults import BARE_STATUSES, FaultHook, Injection, WsmanFault

_BODY_BOUND = 32 * 1024 * 1024
"""Bytes of one request; the envelope's own limit is checked after it was opened."""
_SOAP_TYPE = "application/soap+xml;charset=UTF-8"


class Tally:
    """Counts of everything that happens to a peer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str | int]] = Counter()

    def add(self, what: str, which: str | int = "") -> None:
        with self._lock:
            self._counts[what, which] += 1

    def of(self, what: str) -> dict[str | int, int]:
        with self._lock:
            found = {which: n for (kind, which), n in self._counts.items() if kind == what}
        return dict(sorted(found.items(), key=str))

    def total(self, what: str) -> int:
        return sum(self.of(what).values())


@dataclass(slots=True, kw_only=True)
class Service:
    """What every connection of one peer works with. The switches may be turned while it runs."""

    gate: Gate
    shells: Shells
    tally: Tally
    faults: list[FaultHook]
    envelope_kb: int
    allow_unencrypted: bool
    idle_seconds: float
    stall_seconds: float
    tls: ssl.SSLContext | None


class _Closed(Exception):
    """This connection answers nothing any more."""


class Connection:
    """A TCP connection from its acceptance to its end."""

    def __init__(self, raw: socket.socket, client: str, number: int, service: Service) -> None:
        self.number = number
        self.client = client
        self.service = service
        self.closed = threading.Event()
        self._socket = raw

    def serve(self) -> None:
        """Until either side ends it. Trouble of the network is an end like any other."""
        try:
            self.trouble("Connect")
            self._socket.settimeout(self.service.idle_seconds)
            if self.service.tls is not None:
                secured = self.service.tls.wrap_socket(
                    self._socket, server_side=True, do_handshake_on_connect=False
                )
                self._socket = secured
                secured.do_handshake()
            _Handler(self._socket, self)
        except (OSError, ValueError, _Closed, _Bare, WsmanFault):
            pass
        finally:
            self.drop()
            self._socket.close()

    @property
    def peer_certificate(self) -> "dict[str, object] | None":
        if isinstance(self._socket, ssl.SSLSocket):
            return dict(self._socket.getpeercert() or {})
        return None

    def drop(self) -> None:
        """End it now, whatever is under way; from any thread."""
        self.closed.set()
        with contextlib.suppress(OSError):
            # Below TLS, whose own shutdown is not meant for a second thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self.service.shells.wake()

    def trouble(self, operation: str) -> Injection | None:
        """What a hook orders for this operation, done at once unless it is for afterwards."""
        for hook in list(self.service.faults):
            injection = hook(self.number, operation)
            if injection is not None:
                if not injection.after:
                    self.suffer(injection)
                return injection
        return None

    def suffer(self, injection: Injection) -> NoReturn:
        self.service.tally.add("injected", injection.what)
        if injection.what == "drop":
            raise _Closed
        if injection.what == "stall":
            self.closed.wait(self.service.stall_seconds)
            raise _Closed
        if injection.what in BARE_STATUSES:
            raise _Bare(BARE_STATUSES[injection.what])
        raise WsmanFault(injection.what)


class _GoOn(Exception):
    """A handshake needs another step of the client."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token


class _Bare(Exception):
    """A status without a body."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """The requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    """An answer leaves in one piece."""

    def __init__(self, sock: socket.socket, link: Connection) -> None:
        self.link = link
        self.service = link.service
        self.user = ""
        self.handshake = Handshake(link.service.gate)
        # A StreamRequestHandler only keeps its server, which this one has no use for.
        super().__init__(sock, (link.client, 0), None)  # type: ignore[arg-type]

    def version_string(self) -> str:
        return "Microsoft-HTTPAPI/2.0"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base
        """Nothing: a test reads the counters."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        if length > _BODY_BOUND:
            raise _Closed
        body = self.rfile.read(length)
        if len(body) < length:
            raise _Closed
        try:
            if self.path.partition("?")[0].rstrip("/") != "/wsman":
                self._send(404)
            elif "WSMANIDENTIFY" in self.headers:
                self.link.trouble("Identify")
                self.service.tally.add("operation", "Identify")
                self._send(200, identify_answer(), _SOAP_TYPE)
            else:
                self._authenticated(body)
        except _Bare as bare:
            self._send(bare.status)
        if self.link.closed.is_set():
            raise _Closed

    def _authenticated(self, body: bytes) -> None:
        try:
            user, token = self._who()
        except Refused:
            self.user = ""
            self._challenge()
            return
        except _GoOn as more:
            self._challenge(more.token)
            return
        if body:
            self._open(body, user, token)
        else:
            self._send(200, token=token)

    def _challenge(self, token: str = "") -> None:
        self.service.tally.add("unauthorized")
        self._send(401, token=token, offer=not token)

    def _who(self) -> tuple[str, str]:
        """The user and what the answer tells the client's handshake. Raises: Refused, _GoOn."""
        authorization = self.headers.get("Authorization", "")
        if not authorization:
            if not self.user:
                raise Refused("nobody")
            return self.user, ""
        self.link.trouble("Authenticate")
        scheme, _, text = authorization.partition(" ")
        gate, mechanism, token = self.service.gate, scheme.casefold(), b""
        if scheme.casefold() in {"negotiate", "kerberos"}:
            user, token = self.handshake.step(scheme, token_of(text))
            mechanism = self.handshake.mechanism
            if not user:
                raise _GoOn(header_of(scheme, token))
        elif self.service.tls is not None and mechanism == "basic":
            user = gate.basic(text)
        elif self.service.tls is not None and authorization == MUTUAL_TLS:
            user, mechanism = gate.certified(self.link.peer_certificate), "certificate"
        else:
            raise Refused(scheme)
        if user != self.user or mechanism not in {"basic", "certificate"}:
            self.service.tally.add("auth", mechanism)
        self.user = user
        return user, header_of(scheme, token) if token else ""

    def _open(self, body: bytes, user: str, token: str) -> None:
        """What was sealed is answered sealed, under the protocol's name the client gave it."""
        kind = self.headers.get("Content-Type", "")
        sealed = kind.startswith(SEALED_TYPE)
        if not sealed and self.service.tls is None and not self.service.allow_unencrypted:
            raise _Bare(500)
        try:
            document = self.handshake.unseal(body) if sealed else body
        except Undecryptable:
            self.service.tally.add("decrypt_failure")
            raise _Bare(400) from None
        status, answered = self._operate(document, user)
        content_type = _SOAP_TYPE
        if sealed:
            protocol = kind.partition('protocol="')[2].partition('"')[0]
            content_type, answered = self.handshake.seal(answered, protocol)
        self._send(status, answered, content_type, token=token)

    def _operate(self, document: bytes, user: str) -> tuple[int, bytes]:
        message_id = ""
        try:
            request = read_request(document)
            message_id = request.message_id
            return 200, self._effect(request, user, len(document))
        except WsmanFault as fault:
            if self.link.closed.is_set():
                raise _Closed from fault
            self.service.tally.add("fault", fault.kind.code)
            return 500, fault_answer(fault, message_id, self.link.client)

    def _effect(self, request: Request, user: str, size: int) -> bytes:
        operation = request.operation or "Unknown"
        self.service.tally.add("operation", operation)
        injection = self.link.trouble(operation)
        if size > self.service.envelope_kb * 1024:
            raise _Bare(413)
        connected: Callable[[], bool] = lambda: not self.link.closed.is_set()  # noqa: E731
        caller = Caller(user=user, address=self.link.client, connected=connected)
        answered = answer(request, self.service.shells.answer(request, caller))
        if injection is not None:
            self.link.suffer(injection)
        return answered

    def _send(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "",
        *,
        token: str = "",
        offer: bool = False,
    ) -> None:
        self.send_response(status)
        for challenge in [token] if token else self._offers() if offer else []:
            self.send_header("WWW-Authenticate", challenge)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _offers(self) -> list[str]:
        offers = ["Negotiate", "Kerberos"]
        return offers if self.service.tls is None else [*offers, 'Basic realm="WSMAN"']
