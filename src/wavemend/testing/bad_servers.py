"""Servers that accept and then do not do what they should, each at another stage."""

import contextlib
import io
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import paramiko

from wavemend.testing.keys import KeyPair

LOG = "wavemend.testing.paramiko"
# Clients that hang up or speak nonsense are what these servers are for; no news in that.
logging.getLogger(LOG).setLevel(logging.CRITICAL)


@contextlib.contextmanager
def listening(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections on a loopback port, yield it, and give each to `handle` in a thread."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        taken: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    taken.append(sock)
                    threading.Thread(target=handle, args=(sock,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            # Closing alone does not wake a thread that waits in accept().
            server.shutdown(socket.SHUT_RDWR)
            thread.join(2)
            for sock in taken:
                sock.close()


def silent(_sock: socket.socket) -> None:
    """Accept and never speak."""


def banner_only(sock: socket.socket) -> None:
    """Say who it is, as an SSH server does, and nothing after."""
    sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")


def hangs_up(sock: socket.socket) -> None:
    """Accept and close at once, as sshd does beyond MaxStartups."""
    sock.close()


def web_server(sock: socket.socket) -> None:
    """Answer as a web server would."""
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    sock.close()


def dripping_banner(sock: socket.socket) -> None:
    """Send a line before the banner every now and then, for ever: no single wait is long."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(b"please hold the line\r\n")
            threading.Event().wait(0.3)


def stalls_in_login(host_key: KeyPair) -> Callable[[socket.socket], None]:
    """Return a handler that agrees on keys and never answers the login."""

    def handle(sock: socket.socket) -> None:
        serve(sock, host_key, _Stalling())

    return handle


def stalls_in_command(host_key: KeyPair) -> Callable[[socket.socket], None]:
    """Return a handler that lets everybody in and never answers the request to run a command."""

    def handle(sock: socket.socket) -> None:
        serve(sock, host_key, _NeverStarting())

    return handle


def serve(sock: socket.socket, host_key: KeyPair, server: paramiko.ServerInterface) -> None:
    """Serve one SSH connection until it ends."""
    transport = server_transport(sock, host_key)
    with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
        transport.start_server(event=threading.Event(), server=server)
        transport.join()


def server_transport(sock: socket.socket, host_key: KeyPair) -> paramiko.Transport:
    """Return the server's side of a connection, with its host key and without log lines."""
    transport = paramiko.Transport(sock)
    transport.set_log_channel(LOG)
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(host_key.private))
    transport.add_server_key(key)
    return transport


class _Stalling(paramiko.ServerInterface):
    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _username: str, _key: paramiko.PKey) -> int:
        threading.Event().wait(4)
        return int(paramiko.common.AUTH_FAILED)


class _NeverStarting(paramiko.ServerInterface):
    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, _username: str, _key: paramiko.PKey) -> int:
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, _channel: paramiko.Channel, _command: bytes) -> bool:
        threading.Event().wait(4)
        return False
