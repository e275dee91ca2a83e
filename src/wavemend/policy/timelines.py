"""A table of timelines: from four answers about a CVE on a host to a number of days.

The table is data (`data/cisa_bod_26_04.csv`, CISA's Binding Operational Directive 26-04, with its
version and date); here it is only read. An unknown answer is tried both ways: the worst outcome
decides, the best is shown beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import product

from wavemend.advisories import Vulnerability
from wavemend.errors import FleetError

NO_DEADLINE_DAYS = 100_000.0
"""Places "fix on system upgrade" behind every number of days."""

Answers = tuple[bool, bool, bool, bool]
"""In KEV, exposed, automatable, total impact."""

_COLUMNS = ["kev", "exposed", "automatable", "impact", "days", "forensic"]
_YES_NO: Mapping[str, bool] = {"yes": True, "no": False}
_IMPACT: Mapping[str, bool] = {"total": True, "partial": False}
_MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Timeline:
    """One outcome of a table. `days` None: fix on system upgrade."""

    days: int | None
    forensic: bool

    @property
    def strictness(self) -> float:
        """Smaller is stricter; among equal days the one with a forensic look is."""
        return NO_DEADLINE_DAYS if self.days is None else self.days - 0.5 * self.forensic

    def __str__(self) -> str:
        if self.days is None:
            return "fix on system upgrade"
        return f"{self.days} days{' and forensic triage' if self.forensic else ''}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BodTable:
    """CISA BOD 26-04, or a table of its form: in KEV, exposed, automatable, total impact → days."""

    name: str
    version: str
    date: str
    rows: Mapping[Answers, Timeline]


@lru_cache(maxsize=1)
def bod_table() -> BodTable:
    """Read the directive's table; it is kept as data so that a new version is a new file."""
    name = "cisa_bod_26_04.csv"
    return read_table((resources.files("wavemend") / "data" / name).read_text("utf-8"), name)


def read_table(text: str, name: str) -> BodTable:
    """Read a table of timelines; `name` is the file's, for messages.

    Raises FleetError naming file and line for a row that means nothing, and for a table that is
    not whole or in which a worse answer gives more time.
    """
    lines = text.splitlines()
    comments = [line[1:].strip() for line in lines if line.startswith("#")]
    heading = dict(line.partition(": ")[::2] for line in comments)
    for key in ("name", "version", "date"):
        if not heading.get(key):
            raise FleetError(f"{name}: has no comment line '# {key}: ...'")
    rows: dict[Answers, Timeline] = {}
    for number, answers, timeline in _rows(lines, name):
        if answers in rows:
            raise FleetError(f"{name}: line {number}: these answers occur twice")
        rows[answers] = timeline
    either = (False, True)
    for asked in product(either, either, either, either):
        if asked not in rows:
            raise FleetError(f"{name}: has no row for {_in_words(asked)}")
    _refuse_relaxed(rows, name)
    return BodTable(
        name=heading["name"], version=heading["version"], date=heading["date"], rows=rows
    )


def _rows(lines: list[str], name: str) -> Iterator[tuple[int, Answers, Timeline]]:
    # No cell of such a table is quoted, so a line is its cells, and its number is the file's.
    numbered = [(at, line) for at, line in enumerate(lines, 1) if line and line[0] != "#"]
    if not numbered or numbered[0][1].split(",") != _COLUMNS:
        raise FleetError(f"{name}: its columns are not {', '.join(_COLUMNS)}")
    for number, line in numbered[1:]:
        row = line.split(",")
        try:
            kev, exposed, automatable, impact, days, forensic = row
            answers = _YES_NO[kev], _YES_NO[exposed], _YES_NO[automatable], _IMPACT[impact]
            known_days = int(days) if days else None
            timeline = Timeline(known_days, _YES_NO[forensic])
        except (KeyError, ValueError) as error:
            expected = "yes or no, the impact total or partial, the days a number or nothing"
            raise FleetError(
                f"{name}: line {number}: {','.join(row)!r} is not a row: {expected}"
            ) from error
        if known_days is not None and not 0 < known_days <= _MOST_DAYS:
            raise FleetError(f"{name}: line {number}: days are from 1 to {_MOST_DAYS}")
        yield number, answers, timeline


def _refuse_relaxed(rows: Mapping[Answers, Timeline], name: str) -> None:
    """A worse answer may never give more time: nothing that is found out relaxes a deadline."""
    for answers, timeline in rows.items():
        for place in range(4):
            kev, exposed, automatable, total = (
                answer or at == place for at, answer in enumerate(answers)
            )
            worse = (kev, exposed, automatable, total)
            if rows[worse].strictness > timeline.strictness:
                raise FleetError(
                    f"{name}: {_in_words(worse)} has more time ({rows[worse]}) "
                    f"than {_in_words(answers)} ({timeline})"
                )


def _in_words(answers: Answers) -> str:
    kev, exposed, automatable, total = ("yes" if answer else "no" for answer in answers)
    impact = "total" if total == "yes" else "partial"
    return f"kev {kev}, exposed {exposed}, automatable {automatable}, impact {impact}"


def timelines(
    vulnerability: Vulnerability, *, exposed: bool, table: BodTable | None = None
) -> tuple[Timeline, Timeline]:
    """Return the worst and the best timeline that the known answers allow."""
    ssvc = vulnerability.ssvc
    kev = _options(is_listed(vulnerability))
    automatable = _options(ssvc.automatable if ssvc else None)
    total = _options(ssvc.impact_total if ssvc else None)
    rows = (table or bod_table()).rows
    possible = [rows[k, exposed, a, t] for k, a, t in product(kev, automatable, total)]
    return (
        min(possible, key=lambda item: item.strictness),
        max(possible, key=lambda item: item.strictness),
    )


def _options(answer: bool | None) -> tuple[bool, ...]:
    return (True, False) if answer is None else (answer,)


def is_listed(vulnerability: Vulnerability) -> bool | None:
    """Return whether a CVE is in KEV; None: no catalogue was ever loaded."""
    if vulnerability.kev is not None:
        return True
    return False if vulnerability.kev_known else None
