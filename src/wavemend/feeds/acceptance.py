"""When a new state of a feed may replace the one in use: the rules, apart from any file.

A state that fails a rule is refused and the last good copy stays. What upstream may do on purpose
(an older catalogue, fewer entries) an operator can sign for, see `overrides.py`; the rest never.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from wavemend.feeds.store.compiled import Content

LOSS_LIMIT = 0.02
"""A feed that lost more than this share of its entries, or of a field, is damaged until shown fine.
KEV lost 11 of its entries in 449 days; EPSS one in a day."""
REJECT_LIMIT = 0.02
"""More unreadable entries than this, and it is the format that changed, not an entry."""
FUTURE_LIMIT = timedelta(hours=24)
"""Clocks and time zones explain a day. Accepting 2099 would make every true copy look old."""


class RefusalKind(StrEnum):
    """Why a new state may not replace the one in use."""

    FUTURE = "future"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    ROLLBACK = "rollback"
    SHRUNK = "shrunk"
    FIELD_LOST = "field_lost"


OVERRIDABLE = frozenset({RefusalKind.ROLLBACK, RefusalKind.SHRUNK, RefusalKind.FIELD_LOST})
"""Upstream may do these on purpose. The others are never right, whoever signs: a date in the
future would make every true copy after it look old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One reason to refuse a state."""

    kind: RefusalKind
    reason: str


class Measure(Protocol):
    """What was accepted before: a state in use, or what is remembered of one."""

    @property
    def data_date(self) -> datetime | None: ...

    @property
    def count(self) -> int: ...

    @property
    def coverage(self) -> tuple[tuple[str, int], ...]: ...


IN_USE = "the copy in use"
GONE = "the copy accepted before"
"""How the other copy is called: the one in use may itself be older than what was accepted."""


def refusals(
    previous: Measure | None, content: Content, now: datetime, *, other: str = IN_USE
) -> tuple[Refusal, ...]:
    """Say why a parsed state must not replace what is in use; empty when it may."""
    never = _never(content, now)
    if never or previous is None:
        return never
    return losses(previous, content.data_date, content.count, dict(content.coverage), other=other)


def losses(
    previous: Measure,
    data_date: datetime | None,
    count: int,
    coverage: Mapping[str, int],
    *,
    other: str = IN_USE,
) -> tuple[Refusal, ...]:
    """Say in what these figures of a state fall below what was accepted before."""
    found: list[Refusal] = []
    before = previous.data_date
    if before is not None and (data_date is None or data_date < before):
        day = f"{data_date:%F %H:%MZ}" if data_date else "an unknown day"
        reason = f"it is of {day}, older than {other} ({before:%F %H:%MZ})"
        found.append(Refusal(kind=RefusalKind.ROLLBACK, reason=reason))
    if count < previous.count * (1 - LOSS_LIMIT):
        reason = f"it shrank from {previous.count} to {count} entries"
        found.append(Refusal(kind=RefusalKind.SHRUNK, reason=reason))
    else:  # fewer entries carry fewer fields: one reason is enough
        found += _fields_lost(previous, coverage, other)
    return tuple(found)


def _never(content: Content, now: datetime) -> tuple[Refusal, ...]:
    if content.data_date > now + FUTURE_LIMIT:
        reason = f"it is dated {content.data_date:%F %H:%MZ}, in the future"
        return (Refusal(kind=RefusalKind.FUTURE, reason=reason),)
    if content.rejected > REJECT_LIMIT * (content.count + content.rejected):
        first = content.rejects[0]
        reason = (
            f"{content.rejected} of its entries cannot be read, the first: "
            f"{first.where}: {first.reason}"
        )
        return (Refusal(kind=RefusalKind.UNREADABLE, reason=reason),)
    if content.count == 0:
        reason = "it is empty, and an empty feed is not a world without vulnerabilities"
        return (Refusal(kind=RefusalKind.EMPTY, reason=reason),)
    return ()


def _fields_lost(previous: Measure, coverage: Mapping[str, int], other: str) -> list[Refusal]:
    lost = []
    for name, before in previous.coverage:
        after = coverage.get(name, 0)
        if after < before * (1 - LOSS_LIMIT):
            reason = f"only {after} entries carry {name!r}; in {other} {before} do"
            lost.append(Refusal(kind=RefusalKind.FIELD_LOST, reason=reason))
    return lost
