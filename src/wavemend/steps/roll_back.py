"""Before a rollback that a person asks for: which hosts, what would come back, and what not."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from wavemend.errors import FleetError, PlanError
from wavemend.execution.restore_points import age_words, snapshotter
from wavemend.fleet import Fleet
from wavemend.ledger import attempts, restore_points, rollbacks
from wavemend.ledger.care_tables import RestorePointRow
from wavemend.ledger.intake import fleet_of
from wavemend.ledger.rollouts import FINISHED, get_rollout, read_plan
from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedPackage
from wavemend.rollbacks import CaseHost, RollbackCase


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """One host that is to be taken back. `obstacle`: why it will not be; empty when it may."""

    host: str
    outcome: str
    kind: str
    restores: str
    packages: tuple[str, ...]
    """`name new -> old`, one per planned package that had an older version; an update of Windows
    has none, it is removed."""
    stays: tuple[str, ...]
    """Packages that were new with the change: a downgrade leaves them."""
    warning: str
    critical: bool
    obstacle: str
    simulated: bool = False


def plan_to_take_back(book: Session, rollout_id: str) -> Plan:
    """Return the plan of a finished rollout. Raises PlanError for one that still runs.

    A run that is alive, or waits for an approver, would go on as if nothing had been taken back.
    """
    row = get_rollout(book, rollout_id)
    plan = read_plan(book, rollout_id)
    if plan is None:
        raise PlanError(f"rollout {rollout_id} never had a plan: it changed nothing")
    if row.state != FINISHED:
        raise PlanError(
            f"rollout {rollout_id} is not finished",
            hint="let it end, reject it (`wavemend reject`), or `wavemend stop` and then take back",
        )
    return plan


def rollout_of(book: Session, target: str) -> str:
    """Return the last rollout that changed a host. Raises PlanError when none did."""
    attempt = rollbacks.last_touched(book, target)
    if attempt is None:
        raise PlanError(
            f"no rollout has changed a host {target}",
            hint="a wave needs its rollout too: --rollout; `wavemend rollout list` shows them",
        )
    return attempt.rollout_id


def hosts_of(book: Session, plan: Plan, target: str) -> tuple[str, ...]:
    """Return the changed hosts of a rollout that a name means: one host, or a whole wave."""
    wave = next((wave for wave in plan.waves if wave.name == target), None)
    is_host = any(host.name == target for host in plan.hosts)
    if wave is not None and is_host:
        raise PlanError(f"{target} is both a host and a wave of {plan.rollout}")
    if wave is None and not is_host:
        names = ", ".join(wave.name for wave in plan.waves)
        raise PlanError(f"{plan.rollout} has no host or wave {target}", hint=f"waves: {names}")
    named = wave.hosts if wave else (target,)
    rows = attempts.of_rollout(book, plan.rollout)
    changed = {row.host for row in rows if rollbacks.changed(book, row)}
    found = tuple(name for name in named if name in changed)
    if not found:
        raise PlanError(f"{target} was not changed by {plan.rollout}: nothing is to be taken back")
    return found


def case_of(
    book: Session,
    plan: Plan,
    hosts: tuple[str, ...],
    *,
    requested_by: str,
    reason: str,
    outside_window: bool = False,
) -> RollbackCase:
    """Return exactly what is asked for, so that it can be signed and found again."""
    if not hosts:
        raise PlanError("no host is named to be taken back", hint="empty is not every host")
    ids = {row.host: row.id for row in attempts.of_rollout(book, plan.rollout)}
    if missing := [name for name in hosts if name not in ids]:
        raise PlanError(f"{plan.rollout} has no attempt at {', '.join(missing)}")
    return RollbackCase(
        rollout=plan.rollout,
        tenant=plan.tenant,
        plan_digest=plan.digest,
        hosts=tuple(sorted(CaseHost(host=name, attempt_id=ids[name]) for name in hosts)),
        requested_by=requested_by,
        reason=reason,
        outside_window=outside_window,
    )


def prospects(
    book: Session, plan: Plan, hosts: tuple[str, ...], in_force: Fleet, now: datetime
) -> tuple[Prospect, ...]:
    """Say of each host what would be brought back, what not, and what would be lost."""
    # The profile of the fleet the plan was made for says how the point is used.
    rule = fleet_of(book, plan.fleet_digest).profile(plan.profile).restore_point
    loses = snapshotter(rule).loses_data
    rows = {row.host: row for row in attempts.of_rollout(book, plan.rollout)}
    found = []
    for name in hosts:
        planned, row = plan.host(name), rows[name]
        point = restore_points.point_of(book, plan.rollout, name)
        last = rollbacks.newest_of(book, row.id)
        is_done = last is not None and last.outcome == Outcome.ROLLED_BACK
        done = f"taken back already, by rollback {last.id}" if last and is_done else ""
        found.append(
            Prospect(
                host=name,
                outcome=row.outcome or row.state,
                kind=rule.kind,
                restores=point.restores if point else "nothing",
                packages=tuple(_goes_back(p) for p in planned.packages if p.installed or p.title),
                stays=tuple(p.name for p in planned.packages if not (p.installed or p.title)),
                warning=_warning(point, loses, now),
                critical=planned.critical or is_critical(in_force, name),
                obstacle=done if point else "no restore point was recorded for it",
                simulated=planned.simulated,
            )
        )
    return tuple(found)


def _goes_back(package: PlannedPackage) -> str:
    if package.installed:
        return f"{package.name} {package.target} -> {package.installed}"
    return f"{package.name} is removed, where Windows allows that ({package.title})"


def is_critical(fleet: Fleet, host: str) -> bool:
    """True when the fleet in force calls a host critical; one that it does not know is not."""
    try:
        return fleet.host(host).critical
    except FleetError:
        return False


def _warning(point: RestorePointRow | None, loses: bool, now: datetime) -> str:
    if point is None:
        return ""
    age = age_words(now - point.at)
    if loses:
        return f"DATA LOSS: the point is {age} old; what was written since is taken back too"
    return f"data stays as it is: what the new versions have changed in {age} is not taken back"
