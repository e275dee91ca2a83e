"""The right to start, and the start itself: approval, intent, detached job."""

from datetime import UTC, datetime

from wavemend.approvals import Answer, check
from wavemend.errors import ApprovalRefused, TransportError
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobSpec, JobView, start_job
from wavemend.execution.order import Order
from wavemend.ledger import approvals, attempts
from wavemend.ledger.attempts import Granted, Refused
from wavemend.ledger.rollouts import standing
from wavemend.packages import Target
from wavemend.rollout import Standing
from wavemend.transport import Transport

START_SECONDS = 60.0
"""Creating the job is one round trip; a loaded host may need half a minute for it."""

_ASK_AGAIN_SECONDS = 0.5


def wait_for_place(hands: Hands, order: Order) -> None:
    """Wait until the wave's budget has room, before the host is looked at.

    Returns too when the start would be refused: the refusal itself is decided by `intend`.
    """
    while True:
        with hands.ledger.reading() as book:
            free = attempts.has_place(book, order.lease, order.plan, order.host.name)
        if free or hands.local_stop():
            return
        hands.sleep(_ASK_AGAIN_SECONDS)


def intend(hands: Hands, order: Order) -> attempts.Answer:
    """Ask for the right to start, now; the approval is checked in the same breath."""
    if refusal := approval_refusal(hands, order):
        return Refused(refusal)
    attempt_id, nonce = f"a-{hands.token()}", hands.token()
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
        )


def may_begin_again(hands: Hands, order: Order) -> str:
    """Say why an attempt whose job never began must not begin now; empty when it may.

    Its intent stands, so it keeps its place in the budget; time and switches have moved on.
    """
    if refusal := approval_refusal(hands, order):
        return refusal
    with hands.ledger.reading() as book:
        return attempts.start_refusal(
            book, order.lease, order.plan, hands.clock(), hands.local_stop()
        )


def approval_refusal(hands: Hands, order: Order) -> str:
    """Check the stored signatures again, now; say why none of them counts, or return nothing."""
    if not order.planned.critical:
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
                allowed=order.tenant.approvers,
                requester=order.plan.requester,
                four_eyes=order.tenant.four_eyes,
                now=hands.clock(),
            )
        except ApprovalRefused as error:
            reasons.append(str(error))
        else:
            return ""
    return f"approval: {'; '.join(reasons) or 'no valid signature over this plan'}"


def begin(
    hands: Hands,
    order: Order,
    transport: Transport,
    granted: Granted,
    targets: tuple[Target, ...],
) -> JobView | None:
    """Create the job on the host. None: the answer was lost, so the host has to be asked."""
    spec = JobSpec(
        attempt_id=granted.attempt_id,
        nonce=granted.nonce,
        fence=granted.fence,
        script=hands.manager(order.host).apply_script(targets),
    )
    try:
        view = start_job(transport, spec, deadline=START_SECONDS)
    except TransportError:
        return None
    note_running(hands, order, granted.attempt_id, view)
    return view


def note_running(hands: Hands, order: Order, attempt_id: str, view: JobView) -> None:
    """Write down that the host has begun, with the host's own time of it."""
    if view.begun_at is None:
        return
    begun = datetime.fromtimestamp(view.begun_at, UTC)
    with hands.ledger.writing() as book:
        attempts.mark_running(book, order.lease, attempt_id, begun, hands.clock())
