"""Nights without a rollout, and signed statements that one may be used all the same.

What counts as an override is an OpenSSH signature (`ssh-keygen -Y sign -n night-override`) by one
of the company's approvers over the statement below. It names one company and one morning, so it
is worth nothing in any other night. It is checked when it comes in and again whenever it is used.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from wavemend.errors import ApprovalRefused
from wavemend.signatures import IDENTITY, Signer, is_signed, load_signers

NAMESPACE = "night-override"
"""Not that of approvals: who may approve a plan may not thereby call a day off a working day."""


class NightVerdict(StrEnum):
    """What became of an opening in which a rollout was due and did not run."""

    SKIPPED = "skipped"
    """A calendar forbade it for as long as it was open, or its schedule was switched off."""
    MISSED = "missed"
    """Nobody started it in time."""


def used_step(morning: date, identity: str) -> str:
    """Name the step that says: this rollout rests on somebody's override of a morning."""
    return f"override {morning} {identity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One opening of a window in which a rollout was due and did not run, and why."""

    key: str
    """The rollout key, as text."""
    tenant: str
    profile: str
    window: str
    window_start: datetime
    window_end: datetime
    verdict: NightVerdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NightStatement:
    """What is signed: rollouts of a company may start in the night before this morning."""

    tenant: str
    morning: date
    """Local date of the morning after, in the company's zone."""
    identity: str
    reason: str

    def text(self) -> bytes:
        """Return the bytes that are signed. Raises ApprovalRefused for what could blur them."""
        if not IDENTITY.fullmatch(self.identity):
            raise ApprovalRefused("the signer's name has signs that are not allowed")
        # Printable: no line ends of any script, nothing invisible, nothing that turns text around.
        fit = self.reason.isprintable() and self.reason == self.reason.strip()
        if not (3 <= len(self.reason) <= 500 and fit):
            raise ApprovalRefused(
                "the reason must be one line of 3 to 500 printable characters",
                hint="say why, in one sentence",
            )
        lines = (
            "wavemend night override v1",
            f"tenant: {self.tenant}",
            f"morning: {self.morning}",
            f"by: {self.identity}",
            f"reason: {self.reason}",
        )
        return ("\n".join(lines) + "\n").encode()


def check(
    said: NightStatement, signature: str, *, signers_file: Path, allowed: tuple[str, ...]
) -> Signer:
    """Return who signed, or raise ApprovalRefused saying why the override does not count.

    `allowed`: the company's approvers. Only ssh-keygen's exit status decides.
    """
    text = said.text()
    if said.identity not in allowed:
        raise ApprovalRefused(
            f"{said.identity} may not decide for {said.tenant}",
            hint=f"approvers: {', '.join(allowed) or 'none declared'}",
        )
    signers = {signer.identity: signer for signer in load_signers(signers_file)}
    signer = signers.get(said.identity)
    if signer is None:
        raise ApprovalRefused(f"{said.identity} has no key in {signers_file}")
    if NAMESPACE not in signer.namespaces:
        raise ApprovalRefused(
            f"{said.identity}'s line in {signers_file} does not allow signing for nights",
            hint=f'it must say namespaces="{NAMESPACE}", or "patch-approval,{NAMESPACE}" for both',
        )
    if not is_signed(text, signature, said.identity, signers_file, NAMESPACE):
        raise ApprovalRefused(
            f"the signature is not {said.identity}'s over this company, morning and reason",
            hint="sign again: wavemend duty override COMPANY --morning DATE --reason WHY --key KEY",
        )
    return signer
