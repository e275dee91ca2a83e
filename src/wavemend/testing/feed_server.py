"""A real HTTP server on this machine, whose answers a test writes and may spoil.

For tests of feeds: a `Reply` is one answer, also a cut, dripping or endless one; `raw` says
anything at all on the connection, after the request was read. The other contexts play what is
wrong before HTTP begins: a port that is closed, one that never answers, one that is a hole.
"""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path


@dataclass
class Reply:
    """One answer. `cut` sends only so many bytes of the body, whatever the length header says."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """An empty value leaves a header out, also `Content-Length`."""
    cut: int | None = None
    drip: Callable[[], None] | None = None
    """Called after each byte; then the body goes byte by byte."""
    pieces: Callable[[], Iterable[bytes]] | None = None
    """Instead of `body`: made while it is sent, so that it may be larger than memory."""
    raw: Callable[[BufferedIOBase], None] | None = None
    """Instead of everything else: writes to the connection what it likes."""

    def parts(self) -> Iterable[bytes]:
        """Return the body as it is sent."""
        if self.pieces is not None:
            return self.pieces()
        return (self.body if self.cut is None else self.body[: self.cut],)

    def length(self) -> str:
        """Return the length to announce; empty: none, the body ends with the connection."""
        return "" if self.pieces is not None else str(len(self.body))


@dataclass
class FeedServer:
    """What the server answers by path, and what it was asked."""

    base: str = ""
    answers: dict[str, list[Reply]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, *replies: Reply) -> str:
        """Answer the path with these in turn, the last one for ever. Returns the address."""
        self.answers[path] = list(replies)
        return f"{self.base}{path}"

    def take(self, path: str, headers: dict[str, str]) -> Reply:
        """Return the answer to one request, and note the request."""
        self.requests.append((path, headers))
        found = self.answers.get(path) or self.answers.get(path.partition("?")[0])
        if not found:
            return Reply(status=404)
        reply = found.pop(0) if len(found) > 1 else found[0]
        etag = reply.headers.get("ETag")
        if reply.status == 200 and etag and headers.get("if-none-match") == etag:
            return Reply(status=304)
        return reply


@contextmanager
def feed_server(tls: ssl.SSLContext | None = None) -> Iterator[FeedServer]:
    """Serve on a free port of 127.0.0.1 until the test ends."""
    served = FeedServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": served}))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    served.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: FeedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = {key.lower(): value for key, value in self.headers.items()}
        reply = self.served.take(self.path, asked)
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client had enough: often what a test wants
            if reply.raw is not None:
                reply.raw(self.wfile)
                return
            self.head(reply)
            self.body(reply)

    def head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for key, value in {"Content-Length": reply.length(), **reply.headers}.items():
            if value:
                self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def body(self, reply: Reply) -> None:
        for part in reply.parts():
            if reply.drip is None:
                self.wfile.write(part)
                continue
            for byte in part:
                self.wfile.write(bytes((byte,)))
                self.wfile.flush()
                reply.drip()

    def log_message(self, *_: object) -> None:
        return


def dripping(
    data: bytes, pause: threading.Event, seconds: float
) -> Callable[[BufferedIOBase], None]:
    """Return a `Reply.raw` that repeats `data` for ever, a byte at a time.

    `pause` ends it when the test is over; a byte is sent every `seconds`.
    """

    def send(out: BufferedIOBase) -> None:
        while True:
            for byte in data:
                out.write(bytes((byte,)))
                out.flush()
                if pause.wait(seconds):
                    return

    return send


@contextmanager
def closed_port() -> Iterator[str]:
    """Give an address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # held, so that nobody else gets it meanwhile
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def black_hole() -> Iterator[str]:
    """Give an address that never answers a connection: its queue is full and nobody serves it."""
    with contextlib.ExitStack() as open_ones:
        hole = open_ones.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):  # the kernel queues one or two more than it was told
            filler = open_ones.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(hole.getsockname())
        yield f"http://127.0.0.1:{hole.getsockname()[1]}"


@contextmanager
def silent_port() -> Iterator[str]:
    """Give an address that accepts connections and never says a word; `https` to talk TLS to it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        yield f"https://127.0.0.1:{silent.getsockname()[1]}"


def make_certificate(folder: Path, *, days: int = 2, address: str = "127.0.0.1") -> ssl.SSLContext:
    """Make a certificate for `address` that vouches for itself: `certificate.pem` in `folder`."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ("-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}")
    files = ("-keyout", str(key), "-out", str(certificate))
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days))
    subprocess.run((*made, *subject, *files), check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
