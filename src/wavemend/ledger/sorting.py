"""The list of open findings: which are asked for, in which order, counted and read in portions.

Filters, order and limit are the database's work: half a million findings are not read to show
fifty of them.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, collate, or_
from sqlmodel import Session, col, func, select

from wavemend.ledger.judgement_tables import (
    OpenFindingRow,
)
from wavemend.observations import FindingLine

_PORTION = 1000
"""Rows held in memory at a time when everything is read."""

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
    not_on: tuple[str, ...] = ()
    """Hosts whose findings are not asked for: they left the fleet."""
    moved: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Company by host, where it is another one than when the host was judged."""

    def matches(self, line: FindingLine) -> bool:
        """Say whether a line is asked for."""
        return (
            line.host not in self.not_on
            and all(getattr(self, name) in {"", getattr(line, name)} for name in _EXACT)
            and (not self.lanes or line.lane in self.lanes)
            and (self.due_before is None or (line.due is not None and line.due < self.due_before))
            and (not self.kev or line.kev)
            and self.waived in {None, line.waived}
        )


def open_findings(
    session: Session, question: Question, *, sort: str = "urgency", limit: int | None = None
) -> tuple[FindingLine, ...]:
    """Return what the newest assessments found and was asked for, most urgent first."""
    query = _ordered(session, question, sort)
    return tuple(_lines(session, query if limit is None else query.limit(limit), question))


def each_open_finding(
    session: Session, question: Question, *, sort: str = "urgency"
) -> Iterator[FindingLine]:
    """Yield the same one by one, with little memory, while the transaction lasts."""
    return _lines(session, _ordered(session, question, sort), question)


def count_open(session: Session, question: Question) -> int:
    """Return how many open findings are asked for."""
    query = select(func.count()).select_from(OpenFindingRow).where(*_wanted(question))
    return session.exec(query).one()


def _wanted(question: Question) -> list[ColumnElement[bool]]:
    row = OpenFindingRow
    wanted: list[ColumnElement[bool]] = [
        col(getattr(row, name)) == asked
        for name in _EXACT
        if name != "tenant" and (asked := getattr(question, name))
    ]
    if question.tenant:
        wanted.append(_of_company(question))
    if question.not_on:
        wanted.append(col(row.host).not_in(question.not_on))
    if question.lanes:
        wanted.append(col(row.lane).in_(question.lanes))
    if question.due_before is not None:
        wanted.append(col(row.due) < question.due_before)
    if question.kev:
        wanted.append(col(row.kev).is_(True))
    if question.waived is not None:
        wanted.append(col(row.waived).is_(question.waived))
    return wanted


def _of_company(question: Question) -> ColumnElement[bool]:
    """A host that moved belongs to the company it is in, whoever it was judged for."""
    host = col(OpenFindingRow.host)
    own = col(OpenFindingRow.tenant) == question.tenant
    if not question.moved:
        return own
    moved_in = [name for name, tenant in question.moved.items() if tenant == question.tenant]
    return or_(and_(own, host.not_in(list(question.moved))), host.in_(moved_in))


def _ordered(session: Session, question: Question, sort: str) -> Select[Any]:
    row = OpenFindingRow
    # Names sort by their bytes: one database's language must not change the order of a list.
    plain = "BINARY" if session.get_bind().dialect.name == "sqlite" else "C"

    def text(column: Any) -> ColumnElement[Any]:
        return collate(column, plain)

    urgency, host, package = col(row.order_key), text(row.host), text(row.package)
    subject = text(case((col(row.cve) != "", row.cve), else_=row.advisory))
    orders: Mapping[str, tuple[Any, ...]] = {
        "urgency": (urgency, host),
        "due": (col(row.due).is_(None), row.due, urgency, host),
        "host": (host, urgency),
        "cve": (subject, host, package),
        "package": (package, urgency, host),
        # Without a score is not the lowest score: such lines come last, and are there.
        "cvss": (col(row.cvss).is_(None), col(row.cvss).desc(), urgency, host),
        "epss": (col(row.epss).is_(None), col(row.epss).desc(), urgency, host),
    }
    columns = [getattr(row, name) for name in _COLUMNS]
    chosen: Select[Any] = select(*columns)
    return chosen.where(*_wanted(question)).order_by(*orders[sort], col(row.finding_id))


_COLUMNS = tuple("order_key" if item.name == "order" else item.name for item in fields(FindingLine))


def _lines(session: Session, query: Select[Any], question: Question) -> Iterator[FindingLine]:
    names = tuple(item.name for item in fields(FindingLine))
    found = session.execute(query, execution_options={"yield_per": _PORTION})
    for row in found:
        values = dict(zip(names, row, strict=True))
        values["order"] = unsortable(values["order"])
        values["tenant"] = question.moved.get(values["host"], values["tenant"])
        yield FindingLine(**values)


def sortable(order: Iterable[float]) -> str:
    """Return numbers as text that sorts as they do: the bits of a double, its sign turned."""
    parts = []
    for number in order:
        (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
        flipped = bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 0x8000000000000000)
        parts.append(f"{flipped:016x}")
    return "".join(parts)


def unsortable(text: str) -> tuple[float, ...]:
    """Return the numbers that `sortable` was given."""
    numbers = []
    for start in range(0, len(text), 16):
        flipped = int(text[start : start + 16], 16)
        bits = flipped ^ (0x8000000000000000 if flipped >> 63 else 0xFFFFFFFFFFFFFFFF)
        numbers.append(struct.unpack(">d", struct.pack(">Q", bits))[0])
    return tuple(numbers)
