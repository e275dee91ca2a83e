"""CISA's Binding Operational Directive 26-04: from four answers to a number of days.

The table is data (`data/cisa_bod_26_04.csv`, with its version and date); here it is only read. An
unknown answer is tried both ways: the worst outcome decides, the best is shown beside it.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import product

from wavemend.advisories import Vulnerability

NO_DEADLINE_DAYS = 100_000.0
"""Places "fix on system upgrade" behind every number of days."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One outcome of the directive's table. `days` None: fix on system upgrade."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BodTable:
    """CISA BOD 26-04: in KEV, exposed, automatable, total impact → timeline."""

    version: str
    date: str
    rows: Mapping[tuple[bool, bool, bool, bool], Timeline]


@lru_cache(maxsize=1)
def bod_table() -> BodTable:
    """Read the directive's table; it is kept as data so that a new version is a new file."""
    text = (resources.files("wavemend") / "data" / "cisa_bod_26_04.csv").read_text("utf-8")
    heading = dict(
        line[1:].strip().partition(": ")[::2] for line in text.splitlines() if line[:1] == "#"
    )
    rows = {}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for row in csv.DictReader(lines):
        key = (
            row["kev"] == "yes",
            row["exposed"] == "yes",
            row["automatable"] == "yes",
            row["impact"] == "total",
        )
        days = int(row["days"]) if row["days"] else None
        rows[key] = Timeline(days, row["forensic"] == "yes")
    return BodTable(version=heading["version"], date=heading["date"], rows=rows)


def timelines(vulnerability: Vulnerability, *, exposed: bool) -> tuple[Timeline, Timeline]:
    """Return the worst and the best timeline that the known answers allow."""
    ssvc = vulnerability.ssvc
    kev = _options(is_listed(vulnerability))
    automatable = _options(ssvc.automatable if ssvc else None)
    total = _options(ssvc.impact_total if ssvc else None)
    rows = bod_table().rows
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
