"""The SSH server of one simulated host, and its power switch."""

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

import paramiko

from wavemend.errors import EnvironmentUnfit
from wavemend.testing.bad_servers import server_transport
from wavemend.testing.keys import KeyPair
from wavemend.testing.simulated.machine import Machine

USERS = ("wavemend", "wmlimited")
CHUNK = 65_536
DARK_SECONDS = 2.0
"""How long a rebooting host is away; a real small one takes two to four seconds."""

PORT_TAKEN_SECONDS = 10.0


class Host(paramiko.ServerInterface):
    """Answers one connection: public key only, commands only."""

    def __init__(self, machine: Machine, authorized: bytes) -> None:
        self._machine = machine
        self._authorized = authorized
        self._user = ""

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if username in USERS and key.asbytes() == self._authorized:
            self._user = username
            return int(paramiko.common.AUTH_SUCCESSFUL)
        return int(paramiko.common.AUTH_FAILED)

    def check_channel_request(self, kind: str, _chanid: int) -> int:
        if kind == "session":
            return int(paramiko.common.OPEN_SUCCEEDED)
        return int(paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        session = Session(channel, self._machine, command, self._user)
        threading.Thread(target=session.run, daemon=True).start()
        return True


class Session:
    """One command of one connection. It outlives the connection, as under sshd without a pty."""

    def __init__(
        self, channel: paramiko.Channel, machine: Machine, command: bytes, user: str
    ) -> None:
        self._channel = channel
        self._machine = machine
        self._command = command
        self._user = user

    def run(self) -> None:
        """Run the command, report its exit status, and close when its output is through."""
        # The reply to the request is sent by another thread; nothing may overtake it.
        time.sleep(0.02)
        with self._channel, self._machine.start(self._command, self._user) as process:
            if process.stdin is None or process.stdout is None or process.stderr is None:
                return
            pumps = [
                self._thread(self._pump, process.stdout, self._channel.sendall),
                self._thread(self._pump, process.stderr, self._channel.sendall_stderr),
            ]
            self._thread(self._feed, process)
            status = process.wait()
            if status >= 0:  # an end by signal has none
                with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                    self._channel.send_exit_status(status)
                for pump in pumps:
                    pump.join()

    @staticmethod
    def _thread(target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        return thread

    def _feed(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stdin is None:
            return
        with contextlib.suppress(OSError, ValueError, EOFError):
            while data := self._channel.recv(CHUNK):
                with contextlib.suppress(BrokenPipeError):  # read on: the client may still send
                    process.stdin.write(data)
                    process.stdin.flush()
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()

    def _pump(self, stream: IO[bytes], send: Callable[[bytes], None]) -> None:
        # Closed at the end: a command that writes on after the connection is gone learns it.
        with stream:
            while not self._channel.closed:
                ready, _, _ = select.select([stream], [], [], 0.5)
                if not ready:
                    continue
                data = os.read(stream.fileno(), CHUNK)
                if not data:
                    return
                try:
                    send(data)
                except (OSError, EOFError, paramiko.SSHException):
                    return


class Switchboard:
    """One host's port and power: what listens, who is connected, and whether it is on."""

    def __init__(self, machine: Machine, port: int, host_key: KeyPair, authorized: bytes) -> None:
        self.machine = machine
        self.port = port
        self._host_key = host_key
        self._authorized = authorized
        self._listener: socket.socket | None = None
        self._connections: list[paramiko.Transport] = []
        self._lock = threading.RLock()

    @property
    def is_on(self) -> bool:
        """True while the host answers on its port."""
        return self._listener is not None

    def on(self) -> None:
        """Switch the host on; it boots and listens."""
        with self._lock:
            if self._listener is not None:
                return
            self.machine.boot()
            self._listener = self._listen()
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def off(self) -> None:
        """Switch the host off at once: processes end, connections drop, the port closes."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            self.machine.kill_processes()
            connections, self._connections = self._connections, []
            for connection in connections:
                connection.close()

    def reboot(self) -> None:
        """Go down and come back, with a new boot id."""
        with self._lock:
            self.off()
            time.sleep(DARK_SECONDS)
            self.on()

    def _listen(self) -> socket.socket:
        ends_at = time.monotonic() + PORT_TAKEN_SECONDS
        while True:
            try:
                return socket.create_server(("127.0.0.1", self.port), backlog=64)
            except OSError as error:
                if time.monotonic() >= ends_at:
                    raise EnvironmentUnfit(
                        f"{self.machine.name}: port {self.port} is taken: {error}"
                    ) from error
                time.sleep(0.1)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = server_transport(sock, self._host_key)
        with self._lock:
            if self._listener is None:
                sock.close()
                return
            self._connections = [each for each in self._connections if each.is_active()]
            self._connections.append(transport)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            transport.start_server(
                event=threading.Event(), server=Host(self.machine, self._authorized)
            )
