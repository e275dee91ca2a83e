"""What policies ask of the past: which versions pilots had, which were offered before, what a
person told a rollout to take."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from wavemend.fleet import RolloutKey, RolloutKind
from wavemend.ledger import audit
from wavemend.ledger.attempts import packages_of
from wavemend.ledger.scans import newest_seen_look
from wavemend.ledger.tables import AttemptRow, PlanRow, RolloutRow
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.planning.rules import FirstSeen, Version, version_of
from wavemend.plans import load_plan
from wavemend.policy.profiles import WaveKind

ROLLOUTS_ASKED = 50
"""A version that no pilot had in a company's last fifty rollouts is tried anew: it is cheaper than
to read the whole history before every plan."""

TAKEN = "updates.taken"


def tried_versions(session: Session, tenant: str, wanted: frozenset[Version]) -> frozenset[Version]:
    """Return those of `wanted` that a pilot of the company got in an earlier rollout that ended
    well for it."""
    query = (
        select(RolloutRow.plan_digest)
        .where(
            RolloutRow.tenant == tenant,
            RolloutRow.plan_digest != "",
            col(RolloutRow.kind).in_([RolloutKind.PATCH, RolloutKind.EMERGENCY]),
        )
        .order_by(col(RolloutRow.created_at).desc(), col(RolloutRow.id))
        .limit(ROLLOUTS_ASKED)
    )
    found: set[Version] = set()
    for digest in session.exec(query).all():
        if found >= wanted:
            break
        found |= wanted & _tried_in(session, digest)
    return frozenset(found)


def _tried_in(session: Session, digest: str) -> frozenset[Version]:
    attempts = select(AttemptRow).where(
        AttemptRow.plan_digest == digest,
        col(AttemptRow.outcome).in_([Outcome.PATCHED, Outcome.PATCHED_REBOOT_PENDING]),
    )
    rows = session.exec(attempts).all()
    plan = session.get(PlanRow, digest) if rows else None
    if plan is None:
        return frozenset()
    waves = load_plan(plan.document, digest).waves
    pilots = {wave.number for wave in waves if wave.kind == WaveKind.PILOT}
    return frozenset(
        (package.name, package.arch, package.after)
        for row in rows
        if row.wave in pilots
        for package in packages_of(row)
        if package.outcome in {PackageOutcome.INSTALLED, PackageOutcome.CONFFILE_KEPT}
    )


def offered_before(
    session: Session, host: str, ages: Iterable[timedelta], at: datetime
) -> FirstSeen:
    """Return since when a host is offered its updates, as exactly as these ages need it.

    One earlier look for each age: what it was offered then is at least that old now.
    """
    first: dict[Version, datetime] = {}
    for age in sorted(ages):
        found = newest_seen_look(session, host, as_of=at - age)
        facts = found[1].facts if found is not None else None
        if found is None or facts is None:
            break  # nor is there an older one
        for update in facts.pending:
            first[version_of(update)] = found[1].at
    return first


def take(
    session: Session, key: RolloutKey, names: Iterable[str], *, actor: str, now: datetime
) -> None:
    """Note that the next plan of a rollout takes what these rules or packages hold back."""
    audit.append(session, now, actor, TAKEN, str(key), names=sorted(set(names)))


def taken(session: Session, row: RolloutRow) -> frozenset[str]:
    """Return what a rollout's plan is to take: what was noted since the last plan of its key."""
    key = RolloutKey(tenant=row.tenant, profile=row.profile, window=row.window, kind=row.kind)
    query = (
        select(PlanRow.created_at)
        .join(RolloutRow, col(RolloutRow.id) == col(PlanRow.rollout_id))
        .where(
            col(RolloutRow.key).startswith(f"{key}/", autoescape=True), col(RolloutRow.id) != row.id
        )
        .order_by(col(PlanRow.created_at).desc())
        .limit(1)
    )
    last = session.exec(query).first()
    return frozenset(
        name
        for event in audit.events(session, str(key))
        if event.kind == TAKEN and (last is None or datetime.fromisoformat(event.at) > last)
        for name in json.loads(event.body)["names"]
    )
