"""Take one host back to what it was before its attempt, by the attempt's own restore point.

The same rules as for a change: the intent is written first, never two for one attempt, the way
back is begun at most once, and a second look decides what came of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wavemend.evidence import ProbeResult
from wavemend.execution import drift
from wavemend.execution.conclude import Conclusion, evidence_of
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look, look_and_record, past_lock
from wavemend.execution.order import Order
from wavemend.execution.probes import until_well
from wavemend.execution.rollback_approval import approval_refusal
from wavemend.execution.rollback_end import (
    RollbackEnd,
    Taken,
    decide_rollback,
    is_back,
    merged,
    version_results,
)
from wavemend.execution.rollback_room import (
    MOST_WAIT,
    begin_refusal,
    intend_rollback,
    wait_for_room,
)
from wavemend.execution.taking_back import Leave, Way, take_back
from wavemend.execution.ways_back import way_back, way_by
from wavemend.ledger import attempts, restore_points, rollbacks
from wavemend.ledger.attempts import Granted, Refused, Wait
from wavemend.ledger.care_tables import RestorePointRow, RollbackRow
from wavemend.ledger.restore_points import PointState
from wavemend.ledger.rollbacks import RollbackIntent
from wavemend.ledger.scans import newest_look, record_look
from wavemend.ledger.tables import AttemptRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import JobEnd
from wavemend.policy.care import RollBack
from wavemend.rollbacks import RollbackRequest, last_start
from wavemend.rollout import AttemptState
from wavemend.snapshots import Found

PURPOSE = "rollback"
"""Purpose of the look before it, in the ledger."""

_TRY_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Intent:
    """An intent that is written: its right, the host before it, how far another process got."""

    granted: Granted
    before: Look
    found: AttemptState | None
    point: RestorePointRow | None


def roll_back_host(hands: Hands, order: Order, request: RollbackRequest) -> RollbackEnd:
    """Take a host back, or go on with the rollback that an earlier process began.

    A refusal is a value: `blocked` with the reason, noted in the audit chain, nothing was begun.
    Raises only for what is no host's trouble: a lost lease, a ledger that cannot be written.
    """
    with hands.ledger.reading() as book:
        attempt = attempts.find(book, order.plan.digest, order.host.name)
        last = rollbacks.newest_of(book, attempt.id) if attempt else None
        point = restore_points.point_of(book, order.plan.rollout, order.host.name)
    if attempt is None:
        return _refused(hands, order, request, "the rollout has no attempt at this host")
    if last is not None and last.state != AttemptState.ENDED:
        return _resumed(hands, order, request, last, point)
    if last is not None and last.outcome == Outcome.ROLLED_BACK:
        return _end_of(last)
    return _begun(hands, order, request, attempt, point)


def rollback_reason(order: Order, conclusion: Conclusion) -> str:
    """Say why a host is taken back by itself, by its profile; empty when it is not. Pure."""
    probes = conclusion.evidence.probes if conclusion.evidence else ()
    failed = any(not probe.ok for probe in probes)
    if order.profile.roll_back is RollBack.NEVER or conclusion.outcome is not Outcome.FAILED:
        return ""
    if order.is_repair:  # back to what was half done is no way to get well
        return ""
    return conclusion.reason if failed else ""


def roll_back_attempt(hands: Hands, order: Order, conclusion: Conclusion) -> Conclusion:
    """Take a host back whose probes failed, before its attempt ends; return how that ends then."""
    request = _by_policy(order, conclusion.reason)
    end = roll_back_host(hands, order, request)
    told = merged(conclusion.reason, conclusion.packages, end)
    return replace(told, evidence=conclusion.evidence)


def resume_rollback(hands: Hands, order: Order, granted: Granted) -> Conclusion | None:
    """Go on with the rollback of an attempt that has not ended; None when none was begun.

    What the attempt had concluded before is lost with its process; why it was taken back is not.
    """
    with hands.ledger.reading() as book:
        last = rollbacks.newest_of(book, granted.attempt_id)
    if last is None:
        return None
    if last.state == AttemptState.ENDED:  # one that failed is not tried again by itself
        end = _end_of(last)
    else:
        end = roll_back_host(hands, order, _by_policy(order, last.reason))
    return merged(last.reason, drift.unseen_results(order.planned), end)


def _by_policy(order: Order, reason: str) -> RollbackRequest:
    return RollbackRequest(requested_by=f"profile {order.profile.name}", reason=reason)


def _begun(
    hands: Hands,
    order: Order,
    request: RollbackRequest,
    attempt: AttemptRow,
    point: RestorePointRow | None,
) -> RollbackEnd:
    """Take the host back as soon as its budgets have room for it; refuse after a bounded wait."""
    until = hands.monotonic() + MOST_WAIT.total_seconds()
    while True:
        if reason := wait_for_room(hands, order, request, until):
            return _refused(hands, order, request, reason)
        end = _tried(hands, order, request, attempt, point)
        if not isinstance(end, Wait):
            return end
        hands.sleep(_TRY_AGAIN_SECONDS)


def _tried(
    hands: Hands,
    order: Order,
    request: RollbackRequest,
    attempt: AttemptRow,
    point: RestorePointRow | None,
) -> RollbackEnd | Wait:
    """Look, list the point back, and take the host back after the intent is written.

    A wait: somebody else took the place meanwhile; each try looks anew.
    """
    rollout = order.plan.rollout
    _, before = look_and_record(
        hands, order.host, purpose=PURPOSE, rollout_id=rollout, lease=order.lease
    )
    before = past_lock(
        hands, order.host, before, purpose=PURPOSE, rollout_id=rollout, refresh=False
    )
    way = way_back(hands, order, point, before)
    if isinstance(way, RollbackEnd):
        return _refused(hands, order, request, way.detail, way.outcome)
    if reason := approval_refusal(hands, order, request):
        return _refused(hands, order, request, reason)
    intent = RollbackIntent(
        rollback_id=f"b-{hands.token()}",
        nonce=hands.token(),
        attempt_id=attempt.id,
        kind=order.profile.restore_point.kind,
        requested_by=request.requested_by,
        reason=request.reason,
        automatic=request.automatic,
        outside_window=request.outside_window,
    )
    answer = intend_rollback(hands, order, request, intent)
    if isinstance(answer, Wait):
        return answer
    if isinstance(answer, Refused):
        return _refused(hands, order, request, answer.reason)
    return _taken_back(hands, order, request, _Intent(answer, before, None, point), way)


def _resumed(
    hands: Hands,
    order: Order,
    request: RollbackRequest,
    row: RollbackRow,
    point: RestorePointRow | None,
) -> RollbackEnd:
    """Go on with what an earlier process began; its point may be used up by now."""
    with hands.ledger.writing() as book:
        granted = rollbacks.take_over(book, order.lease, row.id)
        seen = newest_look(book, order.host.name, purpose=PURPOSE, rollout_id=row.rollout_id)
    before = seen[1] if seen else Look(host=order.host.name, at=hands.clock(), facts=None)
    found = Found(name=point.name, reference=point.reference) if point else Found(name="")
    way = way_by(hands, order, found)
    intent = _Intent(granted, before, AttemptState(row.state), point)
    return _taken_back(hands, order, request, intent, way)


def _taken_back(
    hands: Hands, order: Order, request: RollbackRequest, intent: _Intent, way: Way
) -> RollbackEnd:
    """Take the host back, look again, and write down what came of it."""

    def refusal() -> str:
        return begin_refusal(hands, order, request)

    def obstacle() -> str:
        return refusal() or _obstacle(hands, order, request, intent.point)

    leave = Leave(
        before=intent.before,
        found=intent.found,
        refusal=refusal,
        obstacle=obstacle,
        last_start=lambda: last_start(request, order.plan, hands.clock()),
    )
    taken = take_back(hands, order, intent.granted, way, leave)
    end = _concluded(hands, order, intent.before, taken, way)
    rollout = order.plan.rollout
    with hands.ledger.writing() as book:
        record_look(book, order.host, taken.rebooted.look, purpose="after", rollout_id=rollout)
        rollbacks.end(
            book,
            order.lease,
            intent.granted.attempt_id,
            outcome=end.outcome,
            detail=end.detail,
            packages=end.packages,
            evidence=end.evidence,
            now=hands.clock(),
        )
        if point := restore_points.point_of(book, rollout, order.host.name):
            used = way.uses_up and end.outcome is Outcome.ROLLED_BACK
            state = PointState.GONE if used else PointState.KEPT
            restore_points.set_state(
                book, point, state, actor=order.lease.owner, now=hands.clock(), reason=PURPOSE
            )
    return end


def _obstacle(
    hands: Hands, order: Order, request: RollbackRequest, point: RestorePointRow | None
) -> str:
    """Say why an intent that somebody else wrote, who knows when, must not be begun now."""
    way = way_back(hands, order, point, look(hands, order.host, refresh=False))
    if isinstance(way, RollbackEnd):
        return way.detail
    return approval_refusal(hands, order, request)


def _concluded(hands: Hands, order: Order, before: Look, taken: Taken, way: Way) -> RollbackEnd:
    followed, rebooted = taken.followed, taken.rebooted
    facts, planned = rebooted.look.facts, order.planned
    why = _why(hands, order, before, taken, way)
    taken = replace(taken, bad_end=_bad_end(hands, order, taken, way))
    packages = version_results(planned, facts, why, whole=taken.exact)
    probes: tuple[ProbeResult, ...] = ()
    if is_back(planned, facts, whole=taken.exact):
        patience = order.profile.reboots.back_within.total_seconds()
        probes = until_well(hands, order.host, order.profile.probes, patience)
    outcome, detail = decide_rollback(planned, before.facts, taken, packages, probes)
    evidence = evidence_of(before, rebooted.look, followed, probes, int(rebooted.happened))
    return RollbackEnd(outcome=outcome, detail=detail, packages=packages, evidence=evidence)


def _why(
    hands: Hands, order: Order, before: Look, taken: Taken, way: Way
) -> Mapping[tuple[str, str], str]:
    """Return what the package manager says of the packages it did not take back."""
    why = {(target.name, target.arch): reason for target, reason in way.stays}
    facts, view = taken.rebooted.look.facts, taken.followed.view
    if facts is None or way.whole:
        return why
    end = JobEnd(exit_status=view.exit_status if view else None, log=view.log if view else b"")
    judged = hands.manager(order.host).judge(way.undoes, before.facts or facts, facts, end)
    return why | {(result.name, result.arch): result.detail for result in judged}


def _bad_end(hands: Hands, order: Order, taken: Taken, way: Way) -> str:
    """Say why the package manager did not end well; empty where it did, or a disk was put back."""
    view = taken.followed.view
    if way.exact or view is None or not taken.followed.over:
        return ""
    return hands.manager(order.host).end_trouble(view.exit_status)


def _refused(
    hands: Hands,
    order: Order,
    request: RollbackRequest,
    reason: str,
    outcome: Outcome = Outcome.BLOCKED,
) -> RollbackEnd:
    """Note that nothing was begun, and why."""
    with hands.ledger.writing() as book:
        rollbacks.refuse(
            book,
            order.lease,
            order.host.name,
            requested_by=request.requested_by,
            reason=reason,
            now=hands.clock(),
        )
    return RollbackEnd(outcome=outcome, detail=reason)


def _end_of(row: RollbackRow) -> RollbackEnd:
    return RollbackEnd(
        outcome=Outcome(row.outcome), detail=row.detail, packages=rollbacks.packages_of(row)
    )
