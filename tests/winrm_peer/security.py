"""Who a connection is: NTLM, SPNEGO, Kerberos, Basic and certificates as a Windows host takes them.

Real handshakes by pyspnego as acceptor. What is agreed belongs to one TCP connection, as in
http.sys, and so do the keys that seal messages.
"""

import os
import struct
import tempfile
import threading
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import spnego
from spnego._ntlm_raw.messages import Authenticate, AvId, NTClientChallengeV2
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

_NTLM = b"NTLMSSP\x00"
_SPNEGO_OID = b"\x06\x06\x2b\x06\x01\x05\x05\x02"
_BOUNDARY = b"--Encrypted Boundary"
_OCTETS = b"\tContent-Type: application/octet-stream\r\n"
_MALFORMED = (
    SpnegoError,
    ArithmeticError,
    LookupError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
)
"""What pyspnego raises for tokens and messages that are wrong or no such thing at all."""
SEALED_TYPE = "multipart/encrypted"
_USER_FILE = "NTLM_USER_FILE"
# Set from now on and never taken away: another thread may be walking through the environment, as
# requests does for proxies, and would miss a name it has just seen.
os.environ[_USER_FILE] = ""
MUTUAL_TLS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""What a client that authenticates by its certificate sends as Authorization."""


class Cbt(StrEnum):
    """CbtHardeningLevel: what a handshake must say about the TLS connection it runs on."""

    NONE = "none"
    RELAXED = "relaxed"
    """What is said must be right; nothing may be said."""
    STRICT = "strict"
    """It must be said and be right; of NTLM alone: MIT's acceptor of Kerberos lets silence pass."""


class Refused(Exception):
    """The credentials, the token or the channel binding are not accepted."""


class Undecryptable(Exception):
    """A sealed message that this connection's keys do not open."""


class UserFile:
    """The users of one peer as the file pyspnego reads NTLM passwords from.

    pyspnego takes its path from the environment, so handshakes of all peers of a process go one
    after the other, each under its own peer's file.
    """

    _environment = threading.Lock()

    def __init__(self, users: Mapping[str, str]) -> None:
        lines = []
        for user, password in users.items():
            domain, _, name = user.rpartition("\\")
            if ":" in user + password or "\n" in user + password:
                raise ValueError(f"{user}: pyspnego's user file takes no colon and no line break")
            lines.append(f"{domain}:{name}:{password}\n")
        descriptor, path = tempfile.mkstemp(prefix="winrm-peer-users-")
        self._path = Path(path)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(lines)

    def __enter__(self) -> None:
        self._environment.acquire()
        os.environ[_USER_FILE] = str(self._path)

    def __exit__(self, *_: object) -> None:
        os.environ[_USER_FILE] = ""
        self._environment.release()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What all connections of a peer are let in by."""

    users: Mapping[str, str]
    user_file: UserFile
    cbt: Cbt
    certificate_der: bytes
    """Of the peer itself; empty on plain HTTP."""

    def bindings(self) -> GssChannelBindings | None:
        if not self.certificate_der or self.cbt is Cbt.NONE:
            return None
        digest = sha256(self.certificate_der).digest()
        return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)

    def basic(self, encoded: str) -> str:
        """The user of a Basic header. Raises: Refused."""
        try:
            raw = b64decode(encoded, validate=True)
        except NotBase64 as error:
            raise Refused("basic") from error
        for encoding in ("utf-8", "latin-1"):
            name, _, password = raw.decode(encoding, errors="replace").partition(":")
            if self._known(name) and self.users[self._known(name)] == password:
                return name
        raise Refused("basic")

    def certified(self, certificate: Mapping[str, object] | None) -> str:
        """The user a client certificate is mapped to: by its common name. Raises: Refused."""
        subject = (certificate or {}).get("subject", ())
        assert isinstance(subject, tuple)
        names = [value for part in subject for key, value in part if key == "commonName"]
        if not names or not self._known(str(names[0])):
            raise Refused("certificate")
        return self._known(str(names[0]))

    def _known(self, name: str) -> str:
        """The user as the peer spells it; empty: nobody is called so."""
        return next((user for user in self.users if user.casefold() == name.casefold()), "")


class Handshake:
    """Negotiate or Kerberos on one connection, and afterwards the keys for its messages."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._context: spnego.ContextProxy | None = None
        self.mechanism = ""

    def step(self, scheme: str, token: bytes) -> tuple[str, bytes]:
        """The user, empty while the client has to go on, and the token for it.

        Raises: Refused.
        """
        begins = token.startswith((_NTLM + b"\x01", b"\x60"))
        if self._context is None or self._context.complete or begins:
            self._context = self._begin(scheme, token)
        try:
            with self._gate.user_file:
                out = self._context.step(token, channel_bindings=self._demanded(token))
        except _MALFORMED as error:
            self._context = None
            raise Refused(self.mechanism) from error
        if not self._context.complete:
            return "", out or b""
        if self._context.negotiated_protocol == "kerberos":
            self.mechanism = "kerberos"
        return self._context.client_principal or "", out or b""

    def _begin(self, scheme: str, token: bytes) -> spnego.ContextProxy:
        if token.startswith(_NTLM):
            self.mechanism = "ntlm"
        elif _SPNEGO_OID in token[:32]:
            self.mechanism = "negotiate"
        else:
            self.mechanism = "kerberos"
        try:
            with self._gate.user_file:
                return spnego.server(
                    protocol=self.mechanism,
                    options=spnego.NegotiateOptions.wrapping_winrm
                    if self.mechanism == "kerberos"
                    else spnego.NegotiateOptions.none,
                )
        except (SpnegoError, ImportError) as error:
            raise Refused(f"{scheme}: {error}") from error

    def _demanded(self, token: bytes) -> GssChannelBindings | None:
        """The bindings this token is checked against: pyspnego lets a token of zeros pass."""
        wanted = self._gate.bindings()
        if wanted is None or (at := token.find(_NTLM + b"\x03")) < 0:
            return wanted
        message = Authenticate.unpack(token[at:])
        response = message.nt_challenge_response or b""
        said = len(response) > 24 and any(
            NTClientChallengeV2.unpack(response[16:]).av_pairs.get(AvId.channel_bindings, b"")
        )
        if said:
            return wanted
        if self._gate.cbt is Cbt.STRICT:
            raise Refused("no channel binding")
        return None

    def unseal(self, document: bytes) -> bytes:
        """Raises: Undecryptable, also where these keys never sealed it."""
        try:
            header, payload = [part for part in document.split(_BOUNDARY + b"\r\n") if part][:2]
            length = int(header.split(b"Length=")[1])
            sealed = payload.removesuffix(_BOUNDARY + b"--\r\n").removeprefix(_OCTETS)
            size = struct.unpack("<I", sealed[:4])[0]
            if self._context is None:
                raise Undecryptable
            plain = self._context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :])
        except _MALFORMED as error:
            raise Undecryptable from error
        if len(plain) != length:
            raise Undecryptable
        return plain

    def seal(self, document: bytes, protocol: str) -> tuple[str, bytes]:
        """Content type and body of an answer."""
        assert self._context is not None
        sealed = self._context.wrap_winrm(document)
        length = len(document) + sealed.padding_length
        body = (
            _BOUNDARY
            + f"\r\n\tContent-Type: {protocol}\r\n\tOriginalContent: type=application/soap+xml;"
            f"charset=UTF-8;Length={length}\r\n".encode()
            + _BOUNDARY
            + b"\r\n"
            + _OCTETS
            + struct.pack("<I", len(sealed.header))
            + sealed.header
            + sealed.data
            + _BOUNDARY
            + b"--\r\n"
        )
        return f'{SEALED_TYPE};protocol="{protocol}";boundary="Encrypted Boundary"', body


def token_of(text: str) -> bytes:
    """Raises: Refused."""
    try:
        return b64decode(text, validate=True)
    except NotBase64 as error:
        raise Refused("not base64") from error


def header_of(scheme: str, token: bytes) -> str:
    return f"{scheme} {b64encode(token).decode()}" if token else scheme
