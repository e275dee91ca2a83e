"""The right to start, and the start itself: approval, intent, detached job."""

from dataclasses import dataclass
from datetime import datetime

from wavemend import packages
from wavemend.approvals import Answer, check
from wavemend.errors import ApprovalRefused, TransportError
from wavemend.execution.barring import barred
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobView
from wavemend.execution.jobs import JobSpec, start_job
from wavemend.execution.order import Order
from wavemend.execution.pilots_first import untried
from wavemend.fleet import RolloutKind
from wavemend.ledger import approvals, attempts
from wavemend.ledger.attempts import Granted, Refused
from wavemend.ledger.rollouts import standing
from wavemend.ledger.starts import too_long
from wavemend.packages import JobScript, Target
from wavemend.rollout import Standing

START_SECONDS = 60.0
"""Creating the job is one round trip; a loaded host may need half a minute for it."""

_ASK_AGAIN_SECONDS = (0.5, 5.0)
"""First and longest pause before a waiting host asks for its place again: hundreds may wait."""

NOTHING = JobScript(text="exit 0\n", args=(), kind=packages.NOTHING)
"""The job of a host that is only restarted: its begin and end are in the host's journal, with the
fence and the boot, as those of every change are; the restart follows it."""


def wait_for_place(hands: Hands, order: Order) -> None:
    """Wait until the wave's budget has room, before the host is looked at.

    Returns too when the start would be refused: the refusal itself is decided by `intend`.
    """
    pause = _ASK_AGAIN_SECONDS[0]
    while True:
        with hands.ledger.reading() as book:
            free = attempts.has_place(
                book,
                order.lease,
                order.plan,
                order.host.name,
                now=hands.clock(),
                limits=order.in_force().limits,
            )
        if free or hands.local_stop():
            return
        hands.sleep(pause)
        pause = min(1.1 * pause, _ASK_AGAIN_SECONDS[1])


def intend(hands: Hands, order: Order) -> attempts.Answer:
    """Ask for the right to start, now; the approval is checked in the same breath."""
    if refusal := _fleet_refusal(order) or approval_refusal(hands, order):
        return Refused(refusal)
    attempt_id, nonce = f"a-{hands.token()}", hands.token()
    in_force = order.in_force()
    closed, limits = barred(hands, in_force.calendar, order.plan.window_end), in_force.limits
    with hands.ledger.writing() as book:
        return attempts.intend(
            book,
            order.lease,
            order.plan,
            order.host.name,
            attempt_id=attempt_id,
            nonce=nonce,
            now=hands.clock(),
            local_stop=hands.local_stop(),
            barred=closed,
            limits=limits,
        )


def may_begin(hands: Hands, order: Order) -> str:
    """Say why nothing may begin on a host now: approval, window, switches, pilots; empty: it may.

    Asked before a host is looked at, and again for an attempt whose job never began: its intent
    stands, so it keeps its place in the budget, but time and switches have moved on.
    """
    if refusal := _fleet_refusal(order) or approval_refusal(hands, order):
        return refusal
    in_force = order.in_force()
    closed = barred(hands, in_force.calendar, order.plan.window_end)
    now = hands.clock()
    with hands.ledger.reading() as book:
        refusal = attempts.start_refusal(
            book,
            order.lease,
            order.plan,
            now,
            hands.local_stop(),
            barred=closed,
            host=order.host.name,
            limits=in_force.limits,
        )
    name = order.host.name
    return refusal or untried(hands, order.plan, name) or too_long(order.plan, name, now)


def _fleet_refusal(order: Order) -> str:
    """Say why the fleet in force forbids the change, now; empty when it does not."""
    drift = order.in_force().fleet_drift
    return f"drift: {drift}" if drift else ""


def approval_refusal(hands: Hands, order: Order) -> str:
    """Check the stored signatures again, now; say why none of them counts, or return nothing."""
    signed = order.plan.needs_signature(order.host.name)
    if not signed and order.plan.kind != RolloutKind.EMERGENCY:
        return ""
    tenant = order.in_force().tenant
    # A standing rule that was taken back since lets nothing start any more.
    if not signed and tenant.emergency.standing:
        return ""
    with hands.ledger.reading() as book:
        if standing(book, order.plan.rollout, order.plan.digest) is Standing.REJECTED:
            return "rejected by the approver"
        rows = approvals.accepted_approvals(book, order.plan.digest)
        pairs = [(row, approvals.request_of(book, row.request_id)) for row in rows]
    reasons = []
    for row, request in pairs:
        asked = (request.plan_digest, request.rollout_id, request.tenant)
        if asked != (order.plan.digest, order.plan.rollout, order.plan.tenant):
            # The row says this plan, the request that was signed says another one.
            reasons.append("the signed request is over another plan")
            continue
        answer = Answer(
            decision=row.decision,
            identity=row.identity,
            reason=row.reason,
            signature=row.signature,
        )
        try:
            check(
                answer,
                request,
                signers_file=hands.signers_file,
                allowed=tenant.approvers,
                requester=order.plan.requester,
                four_eyes=tenant.four_eyes,
                now=hands.clock(),
            )
        except ApprovalRefused as error:
            reasons.append(str(error))
        else:
            return ""
    return f"approval: {'; '.join(reasons) or 'no valid signature over this plan'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The answer to a start. Without a `view` it was lost, and the host has to be asked."""

    view: JobView | None
    trouble: str = ""


def begin(hands: Hands, order: Order, granted: Granted, targets: tuple[Target, ...]) -> Begun:
    """Create the job on the host: it begins once, and not after the plan's last start."""
    spec = JobSpec(
        attempt_id=granted.attempt_id,
        nonce=granted.nonce,
        fence=granted.fence,
        script=_script(hands, order, targets),
        # However long this process was stopped since the intent: the host has a clock too.
        not_after=int(order.plan.last_start.timestamp()),
        until=int(_until(hands, order).timestamp()),
    )
    try:
        transport = hands.connect(order.host)
        try:
            return Begun(view=start_job(transport, spec, deadline=START_SECONDS))
        finally:
            transport.close()
    except TransportError as error:
        return Begun(view=None, trouble=f"{error.reason}: {error}")


def _until(hands: Hands, order: Order) -> datetime:
    """Return when a job begins no further part: the window ends, or nobody follows it any more."""
    return min(order.plan.window_end, hands.clock() + order.profile.host_deadline)


def _script(hands: Hands, order: Order, targets: tuple[Target, ...]) -> JobScript:
    manager = hands.manager(order.host)
    if order.restart_only:
        return NOTHING
    return manager.repair_script() if order.is_repair else manager.apply_script(targets)
