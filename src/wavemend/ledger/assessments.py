"""Assessments: what was seen of a host at one time, judged by what was known at another.

Both times are kept, so that "what did we think on 3 March?" and "what do we know today about
3 March?" are two questions with two answers. Rows are only added; `open_findings` is an index over
the newest assessment of each host and can be made again from the documents.
"""

import zlib
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import delete, insert
from sqlmodel import Session, col, func, select

from wavemend.documents import from_document, to_document
from wavemend.ledger.sorting import sortable, unsortable
from wavemend.ledger.tables import AssessmentRow, FirstSightingRow, HostScan, OpenFindingRow
from wavemend.observations import Assessment, FindingLine, line_of

_EXACT = ("tenant", "host", "finding_id", "cve", "package", "update_class")
"""Fields of a question that a line must equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which findings are asked for. Empty fields ask for all."""

    tenant: str = ""
    host: str = ""
    finding_id: str = ""
    cve: str = ""
    package: str = ""
    lanes: tuple[str, ...] = ()
    update_class: str = ""
    due_before: datetime | None = None
    kev: bool = False
    waived: bool | None = None

    def matches(self, line: FindingLine) -> bool:
        """Say whether a line is asked for."""
        return (
            all(getattr(self, name) in {"", getattr(line, name)} for name in _EXACT)
            and (not self.lanes or line.lane in self.lanes)
            and (self.due_before is None or (line.due is not None and line.due < self.due_before))
            and (not self.kev or line.kev)
            and self.waived in {None, line.waived}
        )


def record_assessment(session: Session, scan_id: int, assessment: Assessment) -> int:
    """Write one assessment, start the clocks of new findings, and renew the host's index."""
    row = AssessmentRow(
        scan_id=scan_id,
        tenant=assessment.tenant,
        host=assessment.host,
        scanned_at=assessment.scanned_at,
        assessed_at=assessment.assessed_at,
        intelligence=assessment.intelligence,
        findings=len(assessment.ranked),
        unjudged=assessment.packages - assessment.judged,
        document=zlib.compress(to_document(assessment)),
    )
    session.add(row)
    session.flush()
    if row.id is None:
        raise AssertionError("the database gave the assessment no id")
    _start_clocks(session, assessment)
    if scan_id >= _newest_assessed_scan(session, assessment.host):
        _renew_index(session, assessment)
    return row.id


def _start_clocks(session: Session, assessment: Assessment) -> None:
    known = first_seen(session, assessment.host)
    at = assessment.scanned_at
    for ranked in assessment.ranked:
        seen = known.get(ranked.finding.id)
        if seen is None:
            session.add(FirstSightingRow(host=assessment.host, finding_id=ranked.finding.id, at=at))
            known[ranked.finding.id] = at
        elif at < seen:  # an older look was judged anew, and it had the finding already
            row = session.get(FirstSightingRow, (assessment.host, ranked.finding.id))
            if row is not None:
                row.at = at


def _newest_assessed_scan(session: Session, host: str) -> int:
    query = select(func.max(AssessmentRow.scan_id)).where(AssessmentRow.host == host)
    return session.exec(query).one() or 0


def _renew_index(session: Session, assessment: Assessment) -> None:
    connection = session.connection()
    connection.execute(delete(OpenFindingRow).where(col(OpenFindingRow.host) == assessment.host))
    rows = []
    for ranked in assessment.ranked:
        found = line_of(ranked)
        # Not asdict, which copies deeply: half a million lines a refresh.
        line = {field.name: getattr(found, field.name) for field in fields(found)}
        line["order_key"] = sortable(line.pop("order"))
        rows.append(line)
    if rows:
        connection.execute(insert(OpenFindingRow), rows)


def first_seen(session: Session, host: str) -> dict[str, datetime]:
    """Return by finding id when a look at this host found it first."""
    query = select(FirstSightingRow.finding_id, FirstSightingRow.at).where(
        FirstSightingRow.host == host
    )
    return dict(session.exec(query).all())


def assessment_of_scan(session: Session, scan_id: int) -> Assessment | None:
    """Return what was thought of a look when it was judged first; None: it never was.

    The first, so that a report made again says what the first one said.
    """
    query = select(AssessmentRow).where(AssessmentRow.scan_id == scan_id)
    row = session.exec(query.order_by(col(AssessmentRow.id))).first()
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


def open_findings(session: Session, question: Question) -> tuple[FindingLine, ...]:
    """Return what the newest assessments found and was asked for, most urgent first."""
    query = select(OpenFindingRow)
    for name in _EXACT:
        if asked := getattr(question, name):
            query = query.where(getattr(OpenFindingRow, name) == asked)
    if question.lanes:
        query = query.where(col(OpenFindingRow.lane).in_(question.lanes))
    rows = session.exec(query.order_by(OpenFindingRow.order_key, OpenFindingRow.host)).all()
    lines = (_line(row) for row in rows)
    return tuple(line for line in lines if question.matches(line))


def unjudged(session: Session) -> dict[str, int]:
    """Return by host how many packages its newest assessment could not judge; none: no entry."""
    newest = select(func.max(AssessmentRow.id)).group_by(AssessmentRow.host).scalar_subquery()
    query = select(AssessmentRow.host, AssessmentRow.unjudged).where(
        col(AssessmentRow.id).in_(newest)
    )
    return dict(session.exec(query).all())


def last_seen(session: Session, host: str) -> datetime | None:
    """Return when a host answered last; None: it never did."""
    query = select(func.max(HostScan.at)).where(HostScan.host == host, HostScan.facts_digest != "")
    return session.exec(query).one()


def _line(row: OpenFindingRow) -> FindingLine:
    values = row.model_dump(exclude={"order_key"})
    return FindingLine(**values, order=unsortable(row.order_key))


def _value(row: AssessmentRow) -> Assessment:
    return from_document(Assessment, zlib.decompress(row.document))
