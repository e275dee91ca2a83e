"""The keys a login offers: from its own text, or from the SSH agent when it says so. No search."""

import contextlib
import hashlib
import io
import threading
from collections.abc import Iterator

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from wavemend.errors import LoginRefused
from wavemend.transport import Login

AGENT_KEYS_TRIED = 3
"""sshd counts each key as an attempt and closes at MaxAuthTries, 6 by default."""

_loaded: dict[str, paramiko.PKey] = {}
_lock = threading.Lock()


def credential_id(login: Login) -> str:
    """Return what tells two credentials of one login name apart; not the secret itself."""
    secret = f"{login.user}\0{login.private_key}\0{login.passphrase}\0{login.use_agent}"
    return hashlib.sha256(secret.encode()).hexdigest()


@contextlib.contextmanager
def offered_keys(login: Login) -> Iterator[tuple[paramiko.PKey, ...]]:
    """Yield the keys to offer, in order, as long as they are needed. Raises LoginRefused."""
    if login.private_key:
        yield (load_key(login),)
        return
    if not login.use_agent:
        raise LoginRefused(
            f"login {login.name!r} has neither a private key nor `use_agent`",
            hint="give the login a private key, or set `use_agent`",
        )
    with contextlib.closing(_agent(login)) as agent:
        keys = agent.get_keys()
        if not keys:
            raise LoginRefused(
                f"login {login.name!r} uses the SSH agent, and none is running or it holds no key",
                hint="start ssh-agent, add the key, and pass SSH_AUTH_SOCK on to this process",
            )
        yield tuple(keys[:AGENT_KEYS_TRIED])


def _agent(login: Login) -> paramiko.Agent:
    try:
        return paramiko.Agent()
    except (paramiko.SSHException, OSError) as error:
        raise LoginRefused(
            f"login {login.name!r}: the SSH agent does not answer: {error}",
            hint="see that ssh-agent runs and that SSH_AUTH_SOCK names its socket",
        ) from error


def load_key(login: Login) -> paramiko.PKey:
    """Return the login's private key; the same text is decoded once per process."""
    credential = credential_id(login)
    with _lock:
        if credential not in _loaded:
            _loaded[credential] = _decode(login)
        return _loaded[credential]


def _decode(login: Login) -> paramiko.PKey:
    text = login.private_key.strip() + "\n"
    password = login.passphrase or None
    try:
        kind = _kind(text, password)
        return kind.from_private_key(io.StringIO(text), password)
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException) as error:
        # The library's words are kept out: they may quote the key.
        raise LoginRefused(
            f"the private key of login {login.name!r} cannot be read ({type(error).__name__})",
            hint="it must be an ed25519, ecdsa or rsa private key, and its passphrase right",
        ) from None


def _kind(text: str, password: str | None) -> type[paramiko.PKey]:
    data = text.encode()
    secret = password.encode() if password else None
    load = load_ssh_private_key if "BEGIN OPENSSH" in text else load_pem_private_key
    key = load(data, secret)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return paramiko.Ed25519Key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return paramiko.ECDSAKey
    if isinstance(key, rsa.RSAPrivateKey):
        return paramiko.RSAKey
    raise ValueError("unsupported key type")
