"""A real HTTP server on this machine, whose answers a test writes and may spoil."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """One answer. `cut` sends only so many bytes of the body, whatever the length header says."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip: Callable[[], None] | None = None
    """Called after each byte; then the body goes byte by byte."""


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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = {key.lower(): value for key, value in self.headers.items()}
            reply = served.take(self.path, asked)
            self.send_response(reply.status)
            headers = {"Content-Length": str(len(reply.body)), **reply.headers}
            for key, value in headers.items():
                if value:
                    self.send_header(key, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            sent = reply.body if reply.cut is None else reply.body[: reply.cut]
            try:
                if reply.drip is None:
                    self.wfile.write(sent)
                    return
                for byte in sent:
                    self.wfile.write(bytes((byte,)))
                    self.wfile.flush()
                    reply.drip()
            except OSError:
                return  # the client has had enough: what the test wants

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
