"""What a rollback is asked for with: who, why, which hosts, and what an approver signs for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from wavemend.calendar.windows import Window, occurrence_at
from wavemend.documents import sha256, to_document
from wavemend.plans import Plan

SCHEMA = "wavemend.rollback/1"

AT_NEXT_BOOT = "it takes effect with a restart"
"""Words of a rollback that is done on the disk and has not been seen in another boot."""

BY_HAND = "restart it by hand, and scan it"
"""What a person does about a host that waits for that."""

_OUTSIDE = timedelta(hours=1)
"""What is allowed outside the window is allowed now: an hour covers a host whose clock is wrong."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class CaseHost:
    """One host of a case. Its attempt's id is in no other case: an approval counts once."""

    host: str
    attempt_id: str


@dataclass(frozen=True, kw_only=True)
class RollbackCase:
    """Exactly what is taken back, and why: what an approver signs is its digest."""

    rollout: str
    tenant: str
    plan_digest: str
    hosts: tuple[CaseHost, ...]
    """Sorted by name."""
    requested_by: str
    reason: str
    outside_window: bool = False
    """Whether the maintenance window may be closed: another hour is another risk."""
    schema: str = SCHEMA

    @cached_property
    def digest(self) -> str:
        """The case's identity: `sha256:<hex>` of its document."""
        return sha256(to_document(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """One asking. `case` None: by policy, which the plan was approved with."""

    requested_by: str
    reason: str
    case: RollbackCase | None = None
    window: Window | None = None
    """The hosts' maintenance window; None: automatic, within the rollout's own."""
    outside_window: bool = False
    """The operator says explicitly that it may happen now."""
    critical: bool = False
    """The fleet in force calls the host critical, whatever the plan did."""

    @property
    def automatic(self) -> bool:
        """True when no person asked for it."""
        return self.case is None


def time_refusal(request: RollbackRequest, plan: Plan, now: datetime) -> str:
    """Say why it must not begin now; empty when it may. Pure.

    By itself it happens until the window's end, past the cut-off: that is what it is kept for.
    """
    if request.outside_window:
        return ""
    if request.window is None:
        if plan.window_start <= now < plan.window_end:
            return ""
        return f"window: it ended at {plan.window_end:%Y-%m-%d %H:%M} UTC"
    if occurrence_at(request.window, now) is not None:
        return ""
    return f"window: {request.window.name} is not open, and nobody allowed it outside"


def last_start(request: RollbackRequest, plan: Plan, now: datetime) -> datetime:
    """Return the moment after which the host itself must not begin any more. Pure.

    However long this process or its network was stalled since `time_refusal` allowed it.
    """
    if request.outside_window:
        return now + _OUTSIDE
    if request.window is None:
        return plan.window_end
    opening = occurrence_at(request.window, now)
    return opening.end if opening else now
