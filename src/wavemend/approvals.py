"""Approvals: a signature by a named approver over exactly one plan, in one asking.

Resuming a run, clicking a link or writing a database row is never an approval. What counts is
an OpenSSH signature (`ssh-keygen -Y sign -n patch-approval`) over the statement below, checked
when it comes in and again at the intent of every critical host. The channel needs no trust.
"""

import os
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import which

from wavemend.errors import ApprovalRefused

NAMESPACE = "patch-approval"
VERIFY_SECONDS = 20
"""A check takes 5 ms idle and about 100 ms under load; a stuck one is a refusal."""

_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One asking. The nonce makes the answer to it worthless for any other one."""

    id: str
    rollout_id: str
    tenant: str
    plan_digest: str
    nonce: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, from whatever channel."""

    decision: str
    identity: str
    reason: str
    signature: str


@dataclass(frozen=True, slots=True)
class Signer:
    """One line of the signers file: exactly one person, exactly one key."""

    identity: str
    key: str
    fingerprint: str


def statement(request: Request, decision: str, identity: str, reason: str) -> bytes:
    """Return the text that is signed. One writer: the command line, the form and the check.

    Raises ApprovalRefused for a decision, identity or reason that could blur the text.
    """
    if decision not in {"approve", "reject"}:
        raise ApprovalRefused(f"{decision!r} is no decision", hint="approve or reject")
    if not _IDENTITY.fullmatch(identity):
        raise ApprovalRefused("the approver's name has signs that are not allowed")
    # Printable: no line ends of any script, nothing invisible, nothing that turns text around.
    if not (3 <= len(reason) <= 500 and reason.isprintable() and reason == reason.strip()):
        raise ApprovalRefused(
            "the reason must be one line of 3 to 500 printable characters",
            hint="say why, in one sentence",
        )
    lines = (
        "wavemend approval v1",
        f"decision: {decision}",
        f"approver: {identity}",
        f"rollout: {request.rollout_id}",
        f"tenant: {request.tenant}",
        f"plan: {request.plan_digest}",
        f"request: {request.nonce}",
        f"expires: {request.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        f"reason: {reason}",
    )
    return ("\n".join(lines) + "\n").encode()


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


def check(
    answer: Answer,
    request: Request,
    *,
    signers_file: Path,
    allowed: tuple[str, ...],
    requester: str,
    four_eyes: bool,
    now: datetime,
) -> Signer:
    """Return who signed, or raise ApprovalRefused saying why the answer does not count.

    `allowed`: the tenant's approvers. Only ssh-keygen's exit status decides; a missing tool,
    a time-out or any other status is a refusal.
    """
    text = statement(request, answer.decision, answer.identity, answer.reason)
    if now > request.expires_at:
        raise ApprovalRefused(f"the request expired at {request.expires_at:%Y-%m-%d %H:%M} UTC")
    if answer.identity not in allowed:
        raise ApprovalRefused(
            f"{answer.identity} may not decide for {request.tenant}",
            hint=f"approvers: {', '.join(allowed) or 'none declared'}",
        )
    if four_eyes and answer.decision == "approve" and answer.identity == requester:
        raise ApprovalRefused(f"{requester} asked for this rollout and may not approve it")
    signers = {signer.identity: signer for signer in load_signers(signers_file)}
    signer = signers.get(answer.identity)
    if signer is None:
        raise ApprovalRefused(f"{answer.identity} has no key in {signers_file}")
    _verify(text, answer.signature, answer.identity, signers_file)
    return signer


def sign(text: bytes, key: Path) -> str:
    """Sign a statement with `ssh-keygen -Y sign`; a key in an agent or on hardware works too."""
    done = subprocess.run(
        [_ssh_keygen(), "-Y", "sign", "-n", NAMESPACE, "-f", str(key)],
        input=text,
        capture_output=True,
        check=False,
        timeout=120,  # a person may have to touch a hardware key
    )
    if done.returncode != 0:
        raise ApprovalRefused(
            f"ssh-keygen did not sign with {key}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout.decode()


def _verify(text: bytes, signature: str, identity: str, signers_file: Path) -> None:
    if not signature.strip():
        raise ApprovalRefused("there is no signature", hint="`wavemend approve ROLLOUT --key KEY`")
    with tempfile.TemporaryDirectory(prefix="wavemend-") as folder:
        signature_file = Path(folder) / "statement.sig"
        # A form or a mail may indent the lines and end them in its own way.
        lines = [line.strip() for line in signature.strip().splitlines()]
        signature_file.write_bytes(("\n".join(lines) + "\n").encode(errors="replace"))
        try:
            done = subprocess.run(
                [
                    _ssh_keygen(),
                    "-Y",
                    "verify",
                    "-f",
                    str(signers_file),
                    "-I",
                    identity,
                    "-n",
                    NAMESPACE,
                    "-s",
                    str(signature_file),
                ],
                input=text,
                capture_output=True,
                check=False,
                timeout=VERIFY_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise ApprovalRefused("the signature could not be checked in time") from error
    if done.returncode != 0:
        raise ApprovalRefused(
            f"the signature is not {identity}'s over this plan, decision and reason",
            hint="sign the statement of this request; `wavemend approve` does it",
        )


def _ssh_keygen() -> str:
    found = which("ssh-keygen")
    if found is None:
        raise ApprovalRefused("ssh-keygen is missing", hint="install the package openssh-client")
    return found


def _signer(text: str, place: str) -> Signer:
    fields = text.split()
    if len(fields) >= 3 and fields[1].startswith("namespaces="):
        if fields[1] != f'namespaces="{NAMESPACE}"':
            raise ApprovalRefused(f'{place}: only namespaces="{NAMESPACE}" is understood')
        fields.pop(1)
    if len(fields) < 3 or not _IDENTITY.fullmatch(fields[0]):
        raise ApprovalRefused(
            f"{place}: not one name and one key", hint='form: alice namespaces="…" ssh-ed25519 AAAA'
        )
    if not re.fullmatch(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+", fields[1]):
        raise ApprovalRefused(f"{place}: {fields[1]} is an option or key type not understood here")
    key = f"{fields[1]} {fields[2]}"
    return Signer(fields[0], key, fingerprint(key, place))


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
