"""Prove a restore point for each planned host, before anything is changed."""

from wavemend.errors import TransportError
from wavemend.execution.hands import Hands
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import RestorePointRow
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.plans import Plan, PlannedHost
from wavemend.policy.profiles import Profile
from wavemend.snapshots import SNAPSHOTS, RestorePoint

KIND = "package_versions"
PROVE_SECONDS = 180.0
"""One simulation per package, 0.3 s each on a slow host."""


def prepare_host(
    hands: Hands, lease: Lease, plan: Plan, host: Host, profile: Profile
) -> RestorePoint:
    """Prove and record a restore point; where the profile requires one, failing blocks the host."""
    point = _prove(hands, plan.host(host.name), host, f"{plan.rollout}-{host.name}")
    row = RestorePointRow(
        rollout_id=plan.rollout,
        host=host.name,
        kind=point.kind,
        name=point.name,
        proven=point.proven,
        restores=point.restores,
        detail=point.detail,
        at=hands.clock(),
    )
    with hands.ledger.writing() as book:
        rollouts.record_restore_points(book, lease, [row], hands.clock())
        if profile.require_restore_point and not point.proven:
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


def _prove(hands: Hands, planned: PlannedHost, host: Host, name: str) -> RestorePoint:
    before = [
        Target(name=package.name, arch=package.arch, version=package.installed)
        for package in planned.packages
    ]
    try:
        transport = hands.connect(host)
        try:
            return SNAPSHOTS[KIND]().prove(transport, before, name, deadline=PROVE_SECONDS)
        finally:
            transport.close()
    except TransportError as error:
        return RestorePoint(
            kind=KIND, name=name, proven=False, restores="nothing", detail=str(error)
        )
