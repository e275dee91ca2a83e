"""What can become of a host and of a package: closed lists, so that the sums must balance."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The one terminal result of one host in one plan."""

    PATCHED = "patched"
    PATCHED_REBOOT_PENDING = "patched_reboot_pending"
    NOTHING_TO_DO = "nothing_to_do"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    NOT_ATTEMPTED = "not_attempted"
    UNREACHABLE = "unreachable"
    NEEDS_HUMAN = "needs_human"

    @property
    def is_good(self) -> bool:
        """True when the host is in the state the plan wanted."""
        return self in {Outcome.PATCHED, Outcome.PATCHED_REBOOT_PENDING, Outcome.NOTHING_TO_DO}

    @property
    def is_bad(self) -> bool:
        """True when the outcome counts as an error at the gate.

        Unreachable and unknown hosts count: over SSH, a host that is gone is the likeliest
        casualty.
        """
        return self in {
            Outcome.FAILED,
            Outcome.ROLLED_BACK,
            Outcome.UNREACHABLE,
            Outcome.NEEDS_HUMAN,
        }


MAY_STILL_RUN = (Outcome.NEEDS_HUMAN, Outcome.UNREACHABLE)
"""Outcomes after which the host's job may go on. A host that was away since the answer to its
start was lost is among them: nobody knows whether it had begun."""


class PackageOutcome(StrEnum):
    """What a second look says about one package of the plan."""

    INSTALLED = "installed"
    HELD = "held"
    PHASED = "phased"
    NOT_OFFERED = "not_offered"
    CONFFILE_KEPT = "conffile_kept"
    FAILED = "failed"
    NOT_ATTEMPTED = "not_attempted"
    """Planned, but nothing was started on its host; not in the plan either, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageResult:
    """One package of one host: what was planned, what was there before, what is there now."""

    name: str
    arch: str
    before: str
    target: str
    after: str
    outcome: PackageOutcome
    detail: str = ""
