"""Nights without a rollout, and nights that somebody signed for."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlmodel import Session, col, select

from wavemend.calendar.almanac import NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.windows import Occurrence
from wavemend.errors import ApprovalRefused
from wavemend.fleet import Fleet, RolloutKey, fleet_from_document
from wavemend.ledger import audit
from wavemend.ledger.night_tables import NightOverrideRow, NightRow
from wavemend.ledger.tables import FleetRevision, RolloutRow
from wavemend.ledger.view import seen
from wavemend.nights import Night, NightStatement, NightVerdict, check

MOST_OVERRIDES = 100
"""Newest rows of a span of mornings that are checked: a check may take 100 ms."""

MOST_REVISIONS = 50
"""Newest fleets that are asked which rollouts were due: a week of several changes a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNight:
    """An override as it was recorded; whether its signature counts is asked by `overrides_of`."""

    said: NightStatement
    signature: str
    fingerprint: str
    signed_at: datetime


def record_override(session: Session, signed: SignedNight, *, row_id: str) -> None:
    """Write down an override whose signature was checked, and that it was."""
    said = signed.said
    session.add(
        NightOverrideRow(
            id=row_id,
            tenant=said.tenant,
            morning=said.morning,
            identity=said.identity,
            fingerprint=signed.fingerprint,
            reason=said.reason,
            statement=said.text().decode(),
            signature=signed.signature,
            at=signed.signed_at,
        )
    )
    audit.append(
        session,
        signed.signed_at,
        said.identity,
        "night.override",
        said.tenant,
        morning=said.morning.isoformat(),
        reason=said.reason,
        fingerprint=signed.fingerprint,
    )


def signed_nights(
    session: Session, tenant: str, *, first: date, last: date
) -> tuple[SignedNight, ...]:
    """Return what was recorded for a company's mornings, both days included, oldest first."""
    query = select(NightOverrideRow).where(
        NightOverrideRow.tenant == tenant,
        col(NightOverrideRow.morning) >= first,
        col(NightOverrideRow.morning) <= last,
    )
    newest = query.order_by(col(NightOverrideRow.at).desc(), col(NightOverrideRow.id).desc())
    rows = session.exec(newest.limit(MOST_OVERRIDES))
    return tuple(
        SignedNight(
            said=NightStatement(
                tenant=row.tenant, morning=row.morning, identity=row.identity, reason=row.reason
            ),
            signature=row.signature,
            fingerprint=row.fingerprint,
            signed_at=row.at,
        )
        for row in reversed(tuple(rows))
    )


def overrides_of(
    session: Session, calendar: TenantCalendar, signers_file: Path, *, first: date, last: date
) -> tuple[NightOverride, ...]:
    """Return the overrides of a company's mornings that count at this moment, oldest first.

    Each signature is checked here and now: a row that was written by hand lifts nothing, and
    neither does one of somebody who is no approver any more.
    """
    found: list[NightOverride] = []
    for item in signed_nights(session, calendar.tenant, first=first, last=last):
        try:
            check(item.said, item.signature, signers_file=signers_file, allowed=calendar.approvers)
        except ApprovalRefused:
            continue
        found.append(
            NightOverride(
                tenant=item.said.tenant,
                morning=item.said.morning,
                identity=item.said.identity,
                reason=item.said.reason,
                signed_at=item.signed_at,
            )
        )
    return tuple(found)


def record(
    session: Session,
    key: RolloutKey,
    occurrence: Occurrence,
    *,
    verdict: NightVerdict,
    reason: str,
    now: datetime,
) -> bool:
    """Write down once that nothing ran in an opening. Returns False when it is known already."""
    if session.get(NightRow, (str(key), occurrence.start)) is not None:
        return False
    session.add(
        NightRow(
            key=str(key),
            window_start=occurrence.start,
            tenant=key.tenant,
            profile=key.profile,
            window=key.window,
            window_end=occurrence.end,
            verdict=verdict.value,
            reason=reason,
            at=now,
        )
    )
    audit.append(
        session,
        now,
        "wavemend",
        f"night.{verdict}",
        str(key),
        opening=occurrence.id,
        reason=reason,
    )
    return True


def night_of(session: Session, key: RolloutKey, start: datetime) -> Night | None:
    """Return what was written down of one opening of a key; None: nothing."""
    row = session.get(NightRow, (str(key), start))
    return _night(row) if row else None


def was_opened(session: Session, key: str, start: datetime) -> bool:
    """Say whether a rollout of a key was opened in the opening that began then."""
    query = select(RolloutRow.id).where(RolloutRow.key == f"{key}/{start.isoformat()}")
    return session.exec(query).first() is not None


def openings_used(session: Session, since: datetime) -> frozenset[tuple[str, datetime]]:
    """Return which openings since then had a rollout: the key as text, and when they began."""
    query = select(RolloutRow.key, RolloutRow.window_start).where(
        col(RolloutRow.window_start) >= since
    )
    return frozenset((text.rpartition("/")[0], start) for text, start in session.exec(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpan:
    """A fleet, and the time in which it was in force."""

    fleet: Fleet
    since: datetime
    until: datetime


def fleets_since(session: Session, since: datetime, now: datetime) -> tuple[FleetSpan, ...]:
    """Return the fleets that were in force between two moments, oldest first."""
    revisions = select(FleetRevision.revision, FleetRevision.applied_at)
    newest = revisions.order_by(col(FleetRevision.revision).desc()).limit(MOST_REVISIONS)
    found: list[FleetSpan] = []
    until = now
    for number, applied_at in session.exec(newest):
        row = session.get_one(FleetRevision, number)
        whole = fleet_from_document(row.document, row.digest, source_path=row.source)
        fleet = seen(session, whole)
        found.append(FleetSpan(fleet=fleet, since=max(applied_at, since), until=until))
        until = applied_at
        if applied_at <= since:
            break
    return tuple(reversed(found))


def nights_since(
    session: Session, since: datetime, *, tenant: str = "", key: str = ""
) -> tuple[Night, ...]:
    """Return the nights without a rollout whose opening began at `since` or later, in order.

    One that was skipped and used all the same, by an override that came later, is none.
    """
    used = openings_used(session, since)
    return tuple(
        night
        for night in written_since(session, since, tenant=tenant, key=key)
        if (night.key, night.window_start) not in used
    )


def written_since(
    session: Session, since: datetime, *, tenant: str = "", key: str = ""
) -> tuple[Night, ...]:
    """Return every night that was written down, also those that were used after all."""
    query = select(NightRow).where(col(NightRow.window_start) >= since)
    if tenant:
        query = query.where(NightRow.tenant == tenant)
    if key:
        query = query.where(NightRow.key == key)
    rows = session.exec(query.order_by(col(NightRow.window_start), col(NightRow.key)))
    return tuple(_night(row) for row in rows)


def _night(row: NightRow) -> Night:
    return Night(
        key=row.key,
        tenant=row.tenant,
        profile=row.profile,
        window=row.window,
        window_start=row.window_start,
        window_end=row.window_end,
        verdict=NightVerdict(row.verdict),
        reason=row.reason,
    )
