"""One logged-in HTTP connection to a Windows host, on which pywinrm's protocol speaks.

pywinrm's own HTTP half is not used: it reads proxies and authorities from the environment (and
writes to it, which threads must not), follows redirects, reads answers of any size, takes what
comes unencrypted where it encrypted, and goes on with a dead connection's keys on a new one.
"""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool
from urllib3.connection import HTTPConnection
from winrm.encryption import Encryption
from winrm.exceptions import WinRMTransportError

from wavemend.errors import HostAnswerInvalid, LoginRefused
from wavemend.hosts import Host
from wavemend.transport import Login
from wavemend.transports.bounds import Budget
from wavemend.transports.login_guard import LoginGuard
from wavemend.transports.output import readable
from wavemend.transports.sockets import Place, open_socket
from wavemend.transports.winrm_auth import (
    NEGOTIATED,
    authenticate,
    credential_id,
    has_keys,
    kerberos_fault,
)
from wavemend.transports.winrm_faults import ConnectionOver
from wavemend.transports.winrm_tls import tls_of, wrap

LONGEST_ANSWER = 2_097_152
"""Bytes of one HTTP answer. Windows sends at most 500 KB unless told otherwise, and we ask for
150 KB."""

RECHECK_SECONDS = 0.2
"""Between looks at a connection that should be over."""

_HEADERS = {"Content-Type": "application/soap+xml;charset=UTF-8", "User-Agent": "wavemend"}
_SEALED = "application/HTTP-SPNEGO-session-encrypted"


def url_of(host: Host, login: Login) -> str:
    """Return the whole address of a host's WinRM service."""
    scheme = "http" if login.plain_http else "https"
    address = f"[{host.address}]" if ":" in host.address else host.address
    return f"{scheme}://{address}:{host.port}/wsman"


class Line:
    """One connection to one host, used by one thread. After `close_session` the next message logs
    in anew: keys and connection live and die together."""

    def __init__(self, host: Host, login: Login, guard: LoginGuard) -> None:
        self.url = url_of(host, login)
        self._place = Place(host.address, host.port, "WinRM")
        self._login = login
        self._guard = guard
        self._tls = None if login.plain_http else tls_of(login)
        self._budget = Budget(0)
        self._session: requests.Session | None = None
        self._encryption: Encryption | None = None
        self._handle: socket.socket | None = None
        """A second handle of the socket: ending the connection by it ends every wait on it."""
        self._last_used = 0.0
        self.patience = math.inf
        """Longest silence before an answer, in seconds."""

    @property
    def idle_seconds(self) -> float:
        """How long nothing came over this connection."""
        return time.monotonic() - self._last_used

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound everything in the body together: then the connection is cut, whatever waits."""
        self._budget = Budget(seconds)
        done = threading.Event()
        watch = threading.Thread(
            target=self._watch, args=(done, self._budget), name="wavemend-winrm", daemon=True
        )
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event, budget: Budget) -> None:
        # Goes on after the end: time spent waiting for ourselves is given back only afterwards.
        while not done.wait(max(budget.left(), RECHECK_SECONDS)):
            handle = self._handle
            if handle is not None and not budget.left():
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def send_message(self, message: str | bytes) -> bytes:
        """Send a SOAP message and return the answer's text. Called by pywinrm's Protocol.

        Raises ConnectionOver when the connection ended before: nothing was sent then. Raises
        LoginRefused for HTTP 401, WinRMTransportError for other statuses (as Protocol expects).
        """
        data = message.encode() if isinstance(message, str) else message
        if self._session is not None:
            return self._post(self._session, data)
        session = self._new_session()
        # Where the login belongs to the connection, an empty message logs in, and no more.
        negotiated = self._login.auth in NEGOTIATED
        try:
            answer = self._log_in(session, b"" if negotiated else data)
        except BaseException:
            session.close()
            raise
        self._session = session
        return self._post(session, data) if negotiated else answer

    def _log_in(self, session: requests.Session, data: bytes) -> bytes:
        request = self._prepared(session, data)  # without a ticket, nobody was asked yet
        waiting = time.monotonic()
        credential = credential_id(self._login)
        with self._guard.attempt(self._login.name, credential, host=str(self._place)):
            self._budget.extend(time.monotonic() - waiting)
            answer = self._exchange(session, request)
            # In here: a stranger who lets everybody in has not found the login right.
            if self._login.auth in NEGOTIATED and not has_keys(session):
                raise HostAnswerInvalid(
                    f"{self._place}: does not ask who logs in",
                    hint="is this WinRM? (Test-WSMan on the host)",
                )
        if self._login.plain_http:
            self._encryption = Encryption(session, self._login.auth.value)
        return answer

    def cut(self) -> None:
        """Break the connection as a network does: nobody is told, and keys are not forgotten."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def close_session(self) -> None:
        """End the connection and forget its keys; never raises, may be called twice."""
        session, self._session, self._encryption = self._session, None, None
        handle, self._handle = self._handle, None
        if session is not None:
            session.close()
        if handle is not None:
            with contextlib.suppress(OSError):  # also where an answer was not read to its end
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()

    def _new_session(self) -> requests.Session:
        self.close_session()
        session = requests.Session()
        session.trust_env = False  # no proxy, no authorities and no .netrc of the environment
        session.headers.update(_HEADERS)
        session.mount(self.url, _Adapter(self._place, self._dial))
        authenticate(session, self._login)
        return session

    def _dial(self) -> socket.socket:
        """Connect; once per session: its keys are those of one connection."""
        if self._session is not None:
            raise ConnectionOver
        if self._handle is not None:  # the host closed the connection in the midst of the login
            self._handle.close()
        budget = Budget(min(self._login.connect_seconds, self._budget.left()))
        sock = open_socket(self._place, budget)
        self._handle = sock.dup()
        return sock if self._tls is None else wrap(sock, self._tls, self._place, budget)

    def _post(self, session: requests.Session, data: bytes) -> bytes:
        """Send a message over a session and return what the answer holds."""
        return self._exchange(session, self._prepared(session, data))

    def _prepared(self, session: requests.Session, data: bytes) -> requests.PreparedRequest:
        if self._encryption is not None:
            return self._encryption.prepare_encrypted_request(session, self.url, data)
        try:
            return session.prepare_request(requests.Request("POST", self.url, data=data))
        except requests.RequestException as error:
            raise kerberos_fault(str(self._place), self._login, error) or error from error

    def _exchange(self, session: requests.Session, request: requests.PreparedRequest) -> bytes:
        seconds = max(0.001, min(self.patience, self._budget.left()))
        try:
            answer = session.send(request, timeout=seconds, allow_redirects=False)
        except PermissionError as error:  # from requests_ntlm: no challenge in the answer
            raise HostAnswerInvalid(
                f"{self._place}: does not answer an NTLM login", hint="is NTLM allowed there?"
            ) from error
        except requests.RequestException as error:
            raise kerberos_fault(str(self._place), self._login, error) or error from error
        if not self._budget.left():  # what was cut off may look like a short answer
            raise requests.Timeout
        self._last_used = time.monotonic()
        if answer.status_code == requests.codes.unauthorized:
            raise self._refused(answer)
        body = self._opened(answer)
        if answer.status_code != requests.codes.ok:
            raise WinRMTransportError("http", answer.status_code, body.decode("utf-8", "replace"))
        return body

    def _refused(self, answer: requests.Response) -> LoginRefused:
        login = self._login
        offers = readable(answer.headers.get("WWW-Authenticate", "")) or "nothing"
        return LoginRefused(
            f"{self._place}: refuses the login {login.name!r} as user {login.user!r} by"
            f" {login.auth.value} (it offers: {offers})",
            hint="check the password or ticket, and that the account may log in over the network",
        )

    def _opened(self, answer: requests.Response) -> bytes:
        """Return an answer's text. Where we encrypt, nothing unencrypted is believed: whoever
        stands in between could have written it."""
        if self._encryption is None:
            return answer.content
        # To the letter what pywinrm looks for: all else it gives back as it came.
        if f'protocol="{_SEALED}"' in answer.headers.get("Content-Type", ""):
            try:
                text = self._encryption.parse_encrypted_response(answer)
            except Exception as error:  # many libraries fail here, each in its way
                raise HostAnswerInvalid(
                    f"{self._place}: sent a message that cannot be decrypted"
                ) from error
            if text:
                return text
        if answer.status_code == requests.codes.ok:
            raise HostAnswerInvalid(
                f"{self._place}: does not seal its answer to a sealed message; it is not believed",
                hint="somebody may stand in between; use HTTPS",
            )
        return b""


class _Adapter(HTTPAdapter):
    """Sends over one connection that is made by `dial`, and reads answers of bounded size."""

    def __init__(self, place: Place, dial: Callable[[], socket.socket]) -> None:
        super().__init__()
        self._pool = HTTPConnectionPool(place.address, place.port, maxsize=1)
        self._pool.ConnectionCls = partial(_Wire, dial)  # type: ignore[assignment]

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """`dial` has verified the host, or there is no connection."""

    def build_response(
        self, req: requests.PreparedRequest, resp: BaseHTTPResponse
    ) -> requests.Response:
        answer = super().build_response(req, resp)
        answer.__class__ = _Answer
        return answer

    def close(self) -> None:
        self._pool.close()
        super().close()


class _Answer(requests.Response):
    """An answer whose body is read up to a bound."""

    def iter_content(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        size = 0
        for piece in super().iter_content(*args, **kwargs):
            size += len(piece)
            if size > LONGEST_ANSWER:
                raise HostAnswerInvalid(
                    f"{self.url}: sent an answer of more than {LONGEST_ANSWER} bytes"
                )
            yield piece


class _Wire(HTTPConnection):
    """urllib3's connection over a socket that is already verified."""

    def __init__(self, dial: Callable[[], socket.socket], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial()
