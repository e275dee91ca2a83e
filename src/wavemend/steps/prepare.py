"""Make and prove a restore point for each planned host, before anything is changed."""

from wavemend.execution.hands import Hands
from wavemend.execution.restore_points import prove_point, subject_of
from wavemend.hosts import Host
from wavemend.ledger import attempts
from wavemend.ledger.attempts import Refused
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.restore_points import record_restore_points
from wavemend.ledger.rollouts import Lease
from wavemend.outcomes import Outcome
from wavemend.plans import Plan
from wavemend.policy.profiles import Profile
from wavemend.snapshots import RestorePoint


def prepare_host(
    hands: Hands, lease: Lease, plan: Plan, host: Host, profile: Profile
) -> RestorePoint | Refused:
    """Prove and record a restore point; where the profile requires one, failing blocks the host.

    Refused, with nothing done, when everything is stopped or the window's last start has passed:
    a snapshot may hold a machine still for seconds. Safe to repeat: a point of this rollout and
    host that is there already is not made again.
    """
    with hands.ledger.reading() as book:
        refusal = attempts.start_refusal(book, lease, plan, hands.clock(), hands.local_stop())
    if refusal:
        return Refused(refusal)
    point = prove_point(hands, subject_of(hands, plan, host), profile.restore_point)
    row = RestorePointRow(
        rollout_id=plan.rollout,
        host=host.name,
        kind=point.kind,
        name=point.name,
        proven=point.proven,
        restores=point.restores,
        detail=point.detail,
        at=hands.clock(),
        reference=point.reference,
    )
    with hands.ledger.writing() as book:
        record_restore_points(book, lease, [row], hands.clock())
        if profile.restore_point.required and not point.proven:
            attempts.settle(
                book,
                lease,
                plan,
                host.name,
                attempt_id=f"a-{hands.token()}",
                outcome=Outcome.BLOCKED,
                reason=f"no restore point: {point.detail}",
                now=hands.clock(),
            )
    return point
