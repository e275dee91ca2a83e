"""Throw-away SSH keys and free ports for tests and simulated hosts."""

import contextlib
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_LOWEST = 10_000
_ENOUGH = 2_000
_LINUX_DEFAULT = 32_768
_OWN_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DICE = random.SystemRandom()
"""Many processes look for ports at once: no two of them may look in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An ed25519 key: the private half as OpenSSH text, the public one as `<type> <base64>`."""

    private: str
    public: str


def new_key() -> KeyPair:
    """Make a new ed25519 key pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(private=private.decode(), public=public.decode())


def free_port() -> int:
    """Return a loopback port that nobody listens on now.

    None that this machine hands out by itself: any process's next connection could take it before
    it is listened on.
    """
    while True:
        port = _DICE.randrange(_LOWEST, _own_ports())
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def _own_ports() -> int:
    """Return the first of the ports that this machine takes for connections."""
    try:
        first = int(_OWN_PORTS.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = _LINUX_DEFAULT
    return first if first >= _LOWEST + _ENOUGH else _LINUX_DEFAULT
