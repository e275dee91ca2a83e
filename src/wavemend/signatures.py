"""Signatures by the system's ssh-keygen, and the file that says whose key is whose.

Only ssh-keygen's exit status decides. A signature is made for one purpose (its namespace): one
under a plan is none under a feed, and the reverse.
"""

import os
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from wavemend.errors import ApprovalRefused

NAMESPACES = frozenset({"patch-approval", "feed-override", "night-override"})
"""What a line of the signers file may limit its key to; ssh-keygen holds it to that."""
APPROVALS_ONLY = frozenset({"patch-approval"})
VERIFY_SECONDS = 20
"""A check takes 5 ms idle and about 100 ms under load; a stuck one is a refusal."""
SIGN_SECONDS = 120
"""A person may have to touch a hardware key."""

IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
"""Names of signers."""


@dataclass(frozen=True, slots=True)
class Signer:
    """One line of the signers file: exactly one person, exactly one key."""

    identity: str
    key: str
    fingerprint: str
    namespaces: frozenset[str] = APPROVALS_ONLY
    """What it may sign. A line that names nothing is an approver's and no more: in an installation
    for several companies, one company's approver must not decide about everybody's feeds."""


def load_signers(path: Path) -> tuple[Signer, ...]:
    """Read an OpenSSH allowed-signers file, more strictly than ssh-keygen does.

    One name and one key per line; no wildcards, no certificates, no key twice, and nobody but
    its owner and root may write the file or the folders above it. Raises ApprovalRefused.
    """
    _guard(path)
    signers: list[Signer] = []
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        signers.append(_signer(text, f"{path}:{number}"))
    keys = [signer.key for signer in signers]
    names = [signer.identity for signer in signers]
    for what, values in (("key", keys), ("name", names)):
        if len(values) != len(set(values)):
            raise ApprovalRefused(f"{path}: the same {what} stands in two lines", hint="keep one")
    return tuple(signers)


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ApprovalRefused(
            f"the signers file {path} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ApprovalRefused(f"the signers file {path} is not text") from error


def sign_text(text: bytes, key: Path, namespace: str) -> str:
    """Sign with `ssh-keygen -Y sign`; a key in an agent or on hardware works too.

    Raises ApprovalRefused.
    """
    done = _keygen(("-Y", "sign", "-n", namespace, "-f", str(key)), text, SIGN_SECONDS)
    if done.returncode != 0:
        raise ApprovalRefused(
            f"ssh-keygen did not sign with {key}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode()


def is_signed(
    text: bytes, signature: str, identity: str, signers_file: Path, namespace: str
) -> bool:
    """Say whether a signature is this identity's over this text. Raises ApprovalRefused.

    It raises when that cannot be found out: without ssh-keygen, or when it does not end.
    """
    with tempfile.TemporaryDirectory(prefix="wavemend-") as folder:
        signature_file = Path(folder) / "statement.sig"
        # A form or a mail may indent the lines and end them in its own way.
        lines = [line.strip() for line in signature.strip().splitlines()]
        signature_file.write_bytes(("\n".join(lines) + "\n").encode(errors="replace"))
        where = ("-f", str(signers_file), "-I", identity, "-n", namespace)
        command = ("-Y", "verify", *where, "-s", str(signature_file))
        return _keygen(command, text, VERIFY_SECONDS).returncode == 0


def _keygen(
    arguments: tuple[str, ...], text: bytes, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [_ssh_keygen(), *arguments],
            input=text,
            capture_output=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ApprovalRefused(f"ssh-keygen did not end within {seconds:g} seconds") from error


def _ssh_keygen() -> str:
    found = which("ssh-keygen")
    if found is None:
        raise ApprovalRefused("ssh-keygen is missing", hint="install the package openssh-client")
    return found


def _signer(text: str, place: str) -> Signer:
    fields, namespaces = text.split(), APPROVALS_ONLY
    if len(fields) >= 3 and fields[1].startswith("namespaces="):
        named = re.fullmatch(r'namespaces="([a-z,-]+)"', fields[1])
        if named is None or not set(named[1].split(",")) <= NAMESPACES:
            known = ",".join(sorted(NAMESPACES))
            raise ApprovalRefused(f'{place}: only namespaces="{known}", or one, is understood')
        namespaces = frozenset(named[1].split(","))
        fields.pop(1)
    if len(fields) < 3 or not IDENTITY.fullmatch(fields[0]):
        raise ApprovalRefused(
            f"{place}: not one name and one key", hint='form: alice namespaces="…" ssh-ed25519 AAAA'
        )
    if not re.fullmatch(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+", fields[1]):
        raise ApprovalRefused(f"{place}: {fields[1]} is an option or key type not understood here")
    key = f"{fields[1]} {fields[2]}"
    return Signer(fields[0], key, fingerprint(key, place), namespaces)


def fingerprint(key: str, place: str) -> str:
    """Return OpenSSH's `SHA256:…` of a public key `<type> <base64>`."""
    import base64
    import binascii
    import hashlib

    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (binascii.Error, IndexError) as error:
        raise ApprovalRefused(f"{place}: the key is not base64") from error
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _guard(path: Path) -> None:
    """Refuse a signers file that somebody else could have written; ssh-keygen does not look."""
    try:
        real = path.resolve(strict=True)
    except OSError as error:
        raise ApprovalRefused(
            f"the signers file {path} cannot be read: {error.strerror}",
            hint="create it: one line `NAME ssh-ed25519 KEY` for each approver",
        ) from error
    for place in (real, *real.parents):
        status = place.stat()
        sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if status.st_uid not in {0, os.getuid()} or (status.st_mode & 0o022 and not sticky):
            raise ApprovalRefused(
                f"{place} can be changed by others", hint=f"chown to yourself, chmod go-w {place}"
            )
