"""Approvals: a signature by a named approver over exactly one plan, in one asking.

Resuming a run, clicking a link or writing a database row is never an approval. What counts is
an OpenSSH signature (`ssh-keygen -Y sign -n patch-approval`) over the statement below, checked
when it comes in and again at the intent of every critical host. The channel needs no trust.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wavemend.errors import ApprovalRefused
from wavemend.signatures import IDENTITY, Signer, is_signed, load_signers, sign_text

NAMESPACE = "patch-approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One asking. The nonce makes the answer to it worthless for any other one."""

    id: str
    rollout_id: str
    tenant: str
    plan_digest: str
    nonce: str
    expires_at: datetime
    what: str = "approval"
    """First line of what is signed: `approval` of a plan, or `rollback` of a `RollbackCase`, whose
    digest stands in the plan's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, from whatever channel."""

    decision: str
    identity: str
    reason: str
    signature: str


def statement(request: Request, decision: str, identity: str, reason: str) -> bytes:
    """Return the text that is signed. One writer: the command line, the form and the check.

    Raises ApprovalRefused for a decision, identity or reason that could blur the text.
    """
    if decision not in {"approve", "reject"}:
        raise ApprovalRefused(f"{decision!r} is no decision", hint="approve or reject")
    if not IDENTITY.fullmatch(identity):
        raise ApprovalRefused("the approver's name has signs that are not allowed")
    # Printable: no line ends of any script, nothing invisible, nothing that turns text around.
    if not (3 <= len(reason) <= 500 and reason.isprintable() and reason == reason.strip()):
        raise ApprovalRefused(
            "the reason must be one line of 3 to 500 printable characters",
            hint="say why, in one sentence",
        )
    lines = (
        f"wavemend {request.what} v1",
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
    if not answer.signature.strip():
        raise ApprovalRefused("there is no signature", hint="`wavemend approve ROLLOUT --key KEY`")
    if not is_signed(text, answer.signature, answer.identity, signers_file, NAMESPACE):
        raise ApprovalRefused(
            f"the signature is not {answer.identity}'s over this plan, decision and reason",
            hint="sign the statement of this request; `wavemend approve` does it",
        )
    return signer


def sign(text: bytes, key: Path) -> str:
    """Sign a statement with `ssh-keygen -Y sign`; a key in an agent or on hardware works too."""
    return sign_text(text, key, NAMESPACE)
