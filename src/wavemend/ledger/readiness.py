"""What was found before a window, who was switched on, and an operator's word to go on anyway."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from wavemend.documents import canonical, from_document, to_data
from wavemend.errors import LedgerError
from wavemend.ledger import audit
from wavemend.ledger.care_tables import ReadinessRow
from wavemend.ledger.rollouts import FINISHED, get_rollout, stopped
from wavemend.ledger.tables import StepRow
from wavemend.readiness import Problem, Readiness

ACCEPTED = "unready.accepted"
"""Step of a rollout: an operator said to go on without the hosts that are not ready."""

SWITCHING_ON, NOT_SWITCHED_ON = "host.switching_on", "host.not_switched_on"
"""Audit events: before a host is told to switch on, and when it could not even be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """For which opening of which window, and when before it, hosts were looked at."""

    tenant: str
    profile: str
    window: str
    window_start: datetime
    name: str
    """`T-24h`, `T-30m`, or `wave <name>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One check of one host, as the ledger has it."""

    occasion: Occasion
    at: datetime
    readiness: Readiness


def record_readiness(
    session: Session, occasion: Occasion, readiness: Readiness, now: datetime
) -> None:
    """Write what one check of one host found; the same again only moves its time.

    A group that is held is looked at every minute: what counts is when something changed.
    """
    row = _row(occasion, readiness, now)
    last = session.exec(
        select(ReadinessRow)
        .where(ReadinessRow.tenant == row.tenant, ReadinessRow.host == row.host)
        .order_by(col(ReadinessRow.id).desc())
        .limit(1)
    ).first()
    if last is not None and _told(last) == _told(row):
        last.at = now
    else:
        session.add(row)


def _row(occasion: Occasion, readiness: Readiness, now: datetime) -> ReadinessRow:
    return ReadinessRow(
        tenant=occasion.tenant,
        profile=occasion.profile,
        window=occasion.window,
        window_start=occasion.window_start,
        occasion=occasion.name,
        host=readiness.host,
        at=now,
        ready=readiness.ready,
        problems=canonical([to_data(problem) for problem in readiness.problems]),
    )


def _told(row: ReadinessRow) -> tuple[object, ...]:
    return row.profile, row.window, row.window_start, row.occasion, row.problems


def newest_checks(session: Session, *, tenant: str = "") -> tuple[Checked, ...]:
    """Return the last check of each host, by company and host."""
    newest = select(func.max(ReadinessRow.id)).group_by(
        col(ReadinessRow.tenant), col(ReadinessRow.host)
    )
    if tenant:
        newest = newest.where(ReadinessRow.tenant == tenant)
    query = select(ReadinessRow).where(col(ReadinessRow.id).in_(newest))
    rows = session.exec(query.order_by(col(ReadinessRow.tenant), col(ReadinessRow.host)))
    return tuple(_checked(row) for row in rows)


def claim_switch_on(
    session: Session, occasion: Occasion, host: str, now: datetime, local_stop: str
) -> str:
    """Note that a host is about to be switched on; say why it must not be, or nothing.

    Never while everything is stopped, and once for each host and occasion: who holds a group
    looks every minute, and must not tell a machine that boots to switch on again and again.
    """
    if reason := local_stop or stopped(session, occasion.tenant):
        return f"it was not switched on: stopped: {reason}"
    where = _where(occasion)
    earlier = {
        event.kind: event
        for event in audit.events(session, host)
        if event.kind in {SWITCHING_ON, NOT_SWITCHED_ON}
        and where.items() <= json.loads(event.body).items()
    }
    if NOT_SWITCHED_ON in earlier:
        return str(json.loads(earlier[NOT_SWITCHED_ON].body)["reason"])
    if SWITCHING_ON in earlier:
        at = datetime.fromisoformat(earlier[SWITCHING_ON].at)
        return f"it was told to switch on at {at:%H:%M} UTC and does not answer"
    audit.append(session, now, "preflight", SWITCHING_ON, host, **where)
    return ""


def note_not_switched_on(
    session: Session, occasion: Occasion, host: str, now: datetime, reason: str
) -> None:
    """Note why a host could not even be told to switch on."""
    body = {**_where(occasion), "reason": reason}
    audit.append(session, now, "preflight", NOT_SWITCHED_ON, host, **body)


def _where(occasion: Occasion) -> dict[str, str]:
    return {
        "profile": occasion.profile,
        "window": occasion.window,
        "window_start": occasion.window_start.isoformat(),
        "occasion": occasion.name,
    }


def _checked(row: ReadinessRow) -> Checked:
    return Checked(
        occasion=Occasion(
            tenant=row.tenant,
            profile=row.profile,
            window=row.window,
            window_start=row.window_start,
            name=row.occasion,
        ),
        at=row.at,
        readiness=Readiness(
            host=row.host, problems=from_document(tuple[Problem, ...], row.problems)
        ),
    )


def accept_unready(
    session: Session, rollout_id: str, *, actor: str, reason: str, now: datetime
) -> None:
    """Let a rollout go on without the hosts that are not ready. Raises LedgerError if it ended."""
    row = get_rollout(session, rollout_id)
    if row.state == FINISHED:
        raise LedgerError(f"the rollout {rollout_id} has ended: {row.reason}")
    if session.get(StepRow, (rollout_id, ACCEPTED)) is None:
        session.add(StepRow(rollout_id=rollout_id, step=ACCEPTED, at=now, detail=reason))
        audit.append(session, now, actor, "readiness.accepted", rollout_id, reason=reason)


def is_accepted(session: Session, rollout_id: str) -> bool:
    """Say whether an operator accepted that some hosts are not ready."""
    return session.get(StepRow, (rollout_id, ACCEPTED)) is not None
