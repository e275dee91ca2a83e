"""Assessments: what was seen of a host at one time, judged by what was known at another.

Both times are kept, so that "what did we think on 3 March?" and "what do we know today about
3 March?" are two questions with two answers. Rows are only added; `open_findings` is an index over
the newest assessment of each host. The index is never made milder by knowing less: where a feed
that spoke before is missing, or older than it was, what it cannot speak of stands as it was.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from wavemend.documents import from_document, storable, to_document
from wavemend.ledger.judgement_tables import (
    AnnouncementRow,
    AssessmentRow,
    FirstSightingRow,
    JudgedHostRow,
    OpenFindingRow,
)
from wavemend.ledger.rows import clean, insert_row, rows_of_host
from wavemend.ledger.sorting import (
    Question,
    count_open,
    each_open_finding,
    open_findings,
    sortable,
)
from wavemend.observations import Assessment, FeedDay, Ranked, Sighting, feeds_after, line_of
from wavemend.scoring.exploitation import threat_of

__all__ = ["Question", "count_open", "each_open_finding", "open_findings"]

PENDING, SENT, FIRST_LOOK = "pending", "sent", "first look"
"""States of an announcement. What a host had when it was judged first is no news of that day."""

_LOOKED_THROUGH = 40
"""Assessments read to find the last one that has a finding: a month of daily ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One exploited CVE in one package on one host, to be told or told."""

    host: str
    tenant: str
    cve: str
    package: str
    threat: str
    """Whose word it is: `kev`, `vendor`, `evidence`."""
    fixed: str
    """Empty: there is no fix."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedHost:
    """The newest judgement of a host, without its findings."""

    host: str
    tenant: str
    scan_id: int
    scanned_at: datetime
    assessed_at: datetime
    intelligence: str
    fleet: str
    packages: int
    judged: int
    kept: int
    """Findings that stand as an earlier judgement left them."""
    feeds: tuple[FeedDay, ...]


def record_assessment(session: Session, scan_id: int, assessment: Assessment) -> int:
    """Write one assessment, the clocks and dates of its findings, and renew the host's index.

    What is exploited and was not announced yet is noted in the same transaction, so that whoever
    judges first, and dies before telling, loses nothing.
    """
    values = {
        "scan_id": scan_id,
        "tenant": assessment.tenant,
        "host": assessment.host,
        "scanned_at": assessment.scanned_at,
        "assessed_at": assessment.assessed_at,
        "intelligence": assessment.intelligence,
        "findings": len(assessment.ranked),
        "unjudged": assessment.packages - assessment.judged,
        "document": zlib.compress(to_document(assessment)),
    }
    number = insert_row(session, AssessmentRow, values)
    seen = _note_sightings(session, assessment) if assessment.ranked else {}
    query = rows_of_host(JudgedHostRow)
    found = session.connection().execute(query, {"host": assessment.host}).mappings().first()
    before = _judged({**found}) if found is not None else None
    if before is None or scan_id >= before.scan_id:
        if assessment.ranked:
            _announce(session, assessment, is_first=before is None)
        rows = _index_rows(assessment, seen)
        _renew_index(session, scan_id, assessment, rows, before)
    return number


def _note_sightings(session: Session, assessment: Assessment) -> Mapping[str, Sighting]:
    known = first_seen(session, assessment.host)
    added: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for ranked in assessment.ranked:
        before = known.get(ranked.finding.id)
        after = _sighting(before, ranked, assessment.scanned_at)
        if after == before:
            continue
        values = {
            "at": after.at,
            "due": after.due,
            "due_reason": storable(after.due_reason),
            "due_basis": storable(after.basis),
        }
        if before is None:
            added.append({"host": assessment.host, "finding_id": ranked.finding.id, **values})
        else:
            changed.append({"its_id": ranked.finding.id, **values})
        known[ranked.finding.id] = after
    connection = session.connection()
    if added:
        connection.execute(insert(FirstSightingRow), added)
    if changed:
        connection.execute(
            update(FirstSightingRow)
            .where(col(FirstSightingRow.host) == assessment.host)
            .where(col(FirstSightingRow.finding_id) == bindparam("its_id")),
            changed,
        )
    return known


def _sighting(before: Sighting | None, ranked: Ranked, at: datetime) -> Sighting:
    """Return what is known of a finding after one more judgement of it.

    An older look that had it already moves the clock back. A date is replaced by an earlier one, or
    by one on another basis; a waiver takes no date away, so that it is there when the waiver ends.
    """
    found = before or Sighting(at=at)
    if at < found.at:
        found = replace(found, at=at)
    priority = ranked.priority
    is_earlier = priority.due is not None and (found.due is None or priority.due < found.due)
    if priority.waiver is None and (is_earlier or ranked.basis != found.basis):
        found = replace(found, due=priority.due, due_reason=priority.due_reason, basis=ranked.basis)
    return found


def _announce(session: Session, assessment: Assessment, *, is_first: bool) -> None:
    query = select(AnnouncementRow.tenant, AnnouncementRow.cve, AnnouncementRow.package)
    known = set(session.exec(query.where(AnnouncementRow.host == assessment.host)).all())
    rows: list[dict[str, Any]] = []
    for ranked in assessment.ranked:
        finding, threat = ranked.finding, threat_of(ranked.vulnerability)
        key = (finding.tenant, finding.cve, storable(finding.package))
        if not threat or not finding.cve or key in known:
            continue
        known.add(key)
        rows.append(
            {
                **dict(zip(("tenant", "cve", "package"), key, strict=True)),
                "host": assessment.host,
                "threat": threat,
                "fixed": storable(finding.fixed or ""),
                "at": assessment.assessed_at,
                "state": FIRST_LOOK if is_first else PENDING,
                "sent_at": None,
            }
        )
    if rows:
        session.connection().execute(insert(AnnouncementRow), rows)


def pending_announcements(session: Session) -> tuple[Announcement, ...]:
    """Return what is noted and was not told yet, by company, CVE, package and host."""
    rows = session.exec(select(AnnouncementRow).where(AnnouncementRow.state == PENDING)).all()
    names = tuple(item.name for item in fields(Announcement))
    found = (Announcement(**{name: getattr(row, name) for name in names}) for row in rows)
    return tuple(sorted(found, key=lambda item: (item.tenant, item.cve, item.package, item.host)))


def mark_sent(session: Session, told: Sequence[Announcement], now: datetime) -> None:
    """Note that these were told. To be called after telling: a crash repeats, it never loses."""
    for item in told:
        row = session.get(AnnouncementRow, (item.host, item.tenant, item.cve, item.package))
        if row is not None and row.state == PENDING:
            row.state, row.sent_at = SENT, now


_Rows = dict[str, dict[str, Any]]


def _renew_index(
    session: Session, scan_id: int, assessment: Assessment, rows: _Rows, before: JudgedHost | None
) -> None:
    days = {feed.feed: feed for feed in assessment.feeds}
    connection, its = session.connection(), {"host": assessment.host}
    old = connection.execute(rows_of_host(OpenFindingRow), its).mappings().all()
    feeds, weaker = feeds_after(assessment.feeds, before.feeds if before else ())
    kept = 0
    for row in map(dict, old):
        new = rows.get(row["finding_id"])
        if new is not None:
            new["known_at"] = min(filter(None, (new["known_at"], row["known_at"])), default=None)
            if weaker and not new["waived"] and row["order_key"] < new["order_key"]:
                rows[row["finding_id"]] = row
        elif weaker and _stands(row, days):
            rows[row["finding_id"]] = row
            kept += 1
    if old:
        connection.execute(_FORGOTTEN, its)
    if rows:
        connection.execute(insert(OpenFindingRow), list(rows.values()))
    newest: dict[str, Any] = {
        "tenant": assessment.tenant,
        "scan_id": scan_id,
        "scanned_at": assessment.scanned_at,
        "assessed_at": assessment.assessed_at,
        "intelligence": assessment.intelligence,
        "fleet": assessment.fleet,
        "packages": assessment.packages,
        "judged": assessment.judged,
        "kept": kept,
        "feeds": to_document(feeds),
    }
    newest = {name: clean(value) for name, value in newest.items()}
    if before is None:
        connection.execute(_JUDGED, {**its, **newest})
    else:
        connection.execute(_JUDGED_AGAIN, {"of": assessment.host, **newest})


_SIGHTINGS = select_columns(
    *map(col, (FirstSightingRow.finding_id, FirstSightingRow.at, FirstSightingRow.due)),
    *map(col, (FirstSightingRow.due_reason, FirstSightingRow.due_basis)),
).where(col(FirstSightingRow.host) == bindparam("host"))
_FORGOTTEN = delete(OpenFindingRow).where(col(OpenFindingRow.host) == bindparam("host"))
_JUDGED = insert(JudgedHostRow)
_JUDGED_AGAIN = update(JudgedHostRow).where(col(JudgedHostRow.host) == bindparam("of"))


def _index_rows(assessment: Assessment, seen: Mapping[str, Sighting]) -> _Rows:
    known_at = {feed.feed: feed.fetched_at for feed in assessment.feeds}
    rows: _Rows = {}
    for ranked in assessment.ranked:
        number = ranked.finding.id
        line = line_of(ranked, judged_at=assessment.assessed_at, first_seen=seen[number].at)
        # Not asdict, which copies deeply: half a million lines a refresh.
        row = {field.name: clean(getattr(line, field.name)) for field in fields(line)}
        row["order_key"] = sortable(row.pop("order"))
        rows[number] = {**row, "known_at": known_at.get(line.feed)}
    return rows


def _stands(row: Mapping[str, Any], days: Mapping[str, FeedDay]) -> bool:
    """Say whether a finding that is not found again stands: its feed is missing, or knew it not."""
    day = days.get(row["feed"])
    if day is None:
        return False
    if not day.is_there:
        return True
    known_at: datetime | None = row["known_at"]
    return known_at is not None and day.fetched_at is not None and known_at > day.fetched_at


def first_seen(session: Session, host: str) -> dict[str, Sighting]:
    """Return by finding id when a look at this host found it first, and its earliest date."""
    return {
        number: Sighting(at=at, due=due, due_reason=reason or "", basis=basis or "")
        for number, at, due, reason, basis in session.execute(_SIGHTINGS, {"host": host})
    }


def host_of_finding(session: Session, finding_id: str) -> str:
    """Return on which host a finding was ever seen; empty: on none."""
    query = select(FirstSightingRow.host).where(FirstSightingRow.finding_id == finding_id)
    return session.exec(query.limit(1)).first() or ""


def assessment_of_scan(session: Session, scan_id: int) -> Assessment | None:
    """Return what was thought of a look when it was judged first; None: it never was.

    The first, so that a report made again says what the first one said.
    """
    query = select(AssessmentRow).where(AssessmentRow.scan_id == scan_id)
    row = session.exec(query.order_by(col(AssessmentRow.id)).limit(1)).first()
    return _value(row) if row is not None else None


def assessment_at(
    session: Session,
    host: str,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Assessment | None:
    """Return a host's state at `as_of` by what was known at `known_at`; None: nothing was known.

    Without a time, the newest. A look counts from the moment it was made, a judgement from the
    moment it was written.
    """
    # The id first: sorting whole rows would read a year's documents to take one.
    query = select(AssessmentRow.id).where(AssessmentRow.host == host)
    if as_of is not None:
        query = query.where(AssessmentRow.scanned_at <= as_of)
    if known_at is not None:
        query = query.where(AssessmentRow.assessed_at <= known_at)
    newest = query.order_by(col(AssessmentRow.scan_id).desc(), col(AssessmentRow.id).desc())
    number = session.exec(newest.limit(1)).first()
    row = session.get(AssessmentRow, number) if number is not None else None
    return _value(row) if row is not None else None


def with_finding(session: Session, host: str, finding_id: str) -> Assessment | None:
    """Return the newest assessment of a host that has a finding; None: none of the last 40 has."""
    query = select(AssessmentRow.id).where(AssessmentRow.host == host)
    newest = query.order_by(col(AssessmentRow.scan_id).desc(), col(AssessmentRow.id).desc())
    for number in session.exec(newest.limit(_LOOKED_THROUGH)).all():
        row = session.get_one(AssessmentRow, number)
        assessment = _value(row)
        session.expunge(row)
        if any(ranked.finding.id == finding_id for ranked in assessment.ranked):
            return assessment
    return None


def judged_hosts(session: Session) -> dict[str, JudgedHost]:
    """Return the newest judgement of every host ever judged, by name."""
    rows = session.exec(select(JudgedHostRow).order_by(JudgedHostRow.host)).all()
    return {row.host: _judged(row.model_dump()) for row in rows}


def _judged(row: Mapping[str, Any]) -> JudgedHost:
    return JudgedHost(**{**row, "feeds": from_document(tuple[FeedDay, ...], row["feeds"])})


def _value(row: AssessmentRow) -> Assessment:
    return from_document(Assessment, zlib.decompress(row.document))
