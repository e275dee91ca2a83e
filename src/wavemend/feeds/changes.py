"""What changed between two states of a feed, and which changes are not taken without a person.

Pure functions over what two states say. Two kinds of answer: events for people and automations
(a CVE was listed, a score rose over a mark), and relaxations, which are what a new catalogue takes
back. A relaxation never softens a decision by itself: the stricter entry stays in force until
somebody signs for it (`overrides.py`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

from wavemend.advisories import FeedSnapshot, KevEntry, cve_order

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

PROBABILITIES = (0.1, 0.5)
"""Marks of EPSS scores worth a line when a CVE crosses them; inside one model only."""
PERCENTILES = (0.9, 0.95, 0.99)
"""Marks of the rank. 94.9 % of the ranks move every day because others moved: a crossing counts
only for a CVE whose own score changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KevAdded:
    """A CVE was listed as exploited."""

    cve: str
    entry: KevEntry

    def __str__(self) -> str:
        known = ", used by ransomware" if self.entry.ransomware else ""
        return f"{self.cve} was listed on {self.entry.date_added}{known}."


@dataclass(frozen=True, slots=True, kw_only=True)
class KevRemoved:
    """A CVE is no longer listed."""

    cve: str
    entry: KevEntry

    def __str__(self) -> str:
        return f"{self.cve} is no longer in the catalogue."


@dataclass(frozen=True, slots=True, kw_only=True)
class KevAddedMoved:
    """The day a CVE was listed on was changed."""

    cve: str
    before: date
    after: date

    def __str__(self) -> str:
        return f"{self.cve}: listing moved from {self.before} to {self.after}."


@dataclass(frozen=True, slots=True, kw_only=True)
class KevDueMoved:
    """The due date was changed, set or taken away."""

    cve: str
    before: date | None
    after: date | None

    def __str__(self) -> str:
        moved = f"from {self.before or 'none'} to {self.after or 'none'}"
        return f"{self.cve}: due date moved {moved}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RansomwareFlipped:
    """Use by ransomware became known, or is no longer claimed."""

    cve: str
    known: bool

    def __str__(self) -> str:
        now = "now known to be used" if self.known else "no longer said to be used"
        return f"{self.cve} is {now} by ransomware."


KevEvent: TypeAlias = KevAdded | KevRemoved | KevAddedMoved | KevDueMoved | RansomwareFlipped


def kev_events(
    before: Mapping[str, KevEntry], after: Mapping[str, KevEntry]
) -> tuple[KevEvent, ...]:
    """Return what changed in the catalogue, by CVE."""
    found: list[KevEvent] = []
    for cve in sorted({*before, *after}, key=lambda cve: (cve_order(cve), cve)):
        found += _kev_change(cve, before.get(cve), after.get(cve))
    return tuple(found)


def _kev_change(cve: str, before: KevEntry | None, after: KevEntry | None) -> list[KevEvent]:
    if after is None:
        return [KevRemoved(cve=cve, entry=before)] if before else []
    if before is None:
        return [KevAdded(cve=cve, entry=after)]
    found: list[KevEvent] = []
    if before.date_added != after.date_added:
        found.append(KevAddedMoved(cve=cve, before=before.date_added, after=after.date_added))
    if before.due_date != after.due_date:
        found.append(KevDueMoved(cve=cve, before=before.due_date, after=after.due_date))
    if bool(before.ransomware) != bool(after.ransomware):
        found.append(RansomwareFlipped(cve=cve, known=bool(after.ransomware)))
    return found


def softens(event: KevEvent) -> bool:
    """Say whether an event takes something back that made a decision stricter."""
    match event:
        case KevRemoved():
            return True
        case KevAddedMoved(before=was, after=now):
            return now > was
        case KevDueMoved(before=was, after=now):
            return was is not None and (now is None or now > was)
        case RansomwareFlipped(known=known):
            return not known
        case KevAdded():
            return False


def relaxations(
    in_force: Mapping[str, KevEntry], catalogue: Mapping[str, KevEntry]
) -> tuple[KevEvent, ...]:
    """Return what a catalogue takes back of what is in force; an addition takes nothing back."""
    return tuple(event for event in kev_events(in_force, catalogue) if softens(event))


def strictest(one: KevEntry, other: KevEntry | None) -> KevEntry:
    """Join two entries of a CVE so that no decision is softer than under either of them."""
    if other is None:
        return one
    dues = [day for day in (one.due_date, other.due_date) if day is not None]
    return KevEntry(
        date_added=min(one.date_added, other.date_added),
        due_date=min(dues, default=None),
        ransomware=True if one.ransomware or other.ransomware else None,
        name=other.name or one.name,
    )


def in_force(
    catalogue: Mapping[str, KevEntry], kept: Mapping[str, KevEntry]
) -> dict[str, KevEntry]:
    """Return the catalogue with what stays in force although it was taken back."""
    return {
        **catalogue,
        **{cve: strictest(entry, catalogue.get(cve)) for cve, entry in kept.items()},
    }


def still_kept(
    before: Mapping[str, KevEntry],
    catalogue: Mapping[str, KevEntry],
    confirmed: Collection[str] = (),
) -> dict[str, KevEntry]:
    """Return the entries that must stay in force beside a new catalogue.

    `before`: what was in force until now. `confirmed`: sentences of relaxations somebody signed.
    """
    kept: dict[str, KevEntry] = {}
    for event in relaxations(before, catalogue):
        if str(event) not in confirmed:
            entry = kept.get(event.cve) or catalogue.get(event.cve)
            kept[event.cve] = _restored(event, entry or before[event.cve])
    return kept


def _restored(event: KevEvent, entry: KevEntry) -> KevEntry:
    """Return an entry as if the event had not happened."""
    match event:
        case KevAddedMoved(before=day):
            return replace(entry, date_added=day)
        case KevDueMoved(before=due):
            return replace(entry, due_date=due)
        case RansomwareFlipped():
            return replace(entry, ransomware=True)
        case KevAdded() | KevRemoved():
            return event.entry


@dataclass(frozen=True, slots=True, kw_only=True)
class EpssCrossed:
    """A CVE's score or rank went over or under a mark."""

    cve: str
    measure: str
    """`probability` or `percentile`."""
    mark: float
    before: float | None
    """None: it had no score."""
    after: float | None
    """None: it has no score any more."""

    @property
    def rose(self) -> bool:
        """True when it went over the mark."""
        return self.after is not None and self.after >= self.mark

    def __str__(self) -> str:
        way = "rose over" if self.rose else "fell under"
        was = "no score" if self.before is None else f"{self.before:g}"
        now = "no score" if self.after is None else f"{self.after:g}"
        return f"{self.cve}: {self.measure} {way} {self.mark:g} ({was} to {now})."


@dataclass(frozen=True, slots=True, kw_only=True)
class EpssMovement:
    """How the scores moved between two tables."""

    model_before: str
    model_after: str
    new: int
    lost: int
    changed: int
    """CVEs in both whose probability differs. Ranks move every day and are not counted."""
    crossed: tuple[EpssCrossed, ...]
    """Empty across a change of the model: v5 moved 13,664 CVEs over 0.1 or under it in a night,
    and none of them had become more or less dangerous."""

    @property
    def model_changed(self) -> bool:
        """True when the two tables cannot be compared number by number."""
        return self.model_before != self.model_after


def epss_movement(
    before: "pd.DataFrame", after: "pd.DataFrame", *, models: tuple[str, str]
) -> EpssMovement:
    """Compare two tables with columns cve, epss, percentile. `models`: of the one and the other."""
    both = before.merge(after, on="cve", how="outer", suffixes=("_was", "_is"), indicator="side")
    moved = both[both["epss_was"].ne(both["epss_is"])]  # NaN differs from everything: new and lost
    crossed: list[EpssCrossed] = []
    if models[0] == models[1]:
        crossed += _crossed(moved, "epss", "probability", PROBABILITIES)
        crossed += _crossed(moved, "percentile", "percentile", PERCENTILES)
    sides = both["side"].value_counts()
    return EpssMovement(
        model_before=models[0],
        model_after=models[1],
        new=int(sides["right_only"]),
        lost=int(sides["left_only"]),
        changed=int(moved["side"].eq("both").sum()),
        crossed=tuple(sorted(crossed, key=lambda item: (cve_order(item.cve), item.measure))),
    )


def _crossed(
    moved: "pd.DataFrame", column: str, measure: str, marks: tuple[float, ...]
) -> list[EpssCrossed]:
    part = moved[["cve", f"{column}_was", f"{column}_is"]].set_axis(["cve", "was", "is"], axis=1)
    part = part.astype({"was": "float64", "is": "float64"})
    old_bands, new_bands = _bands(part["was"], marks), _bands(part["is"], marks)
    differ = old_bands != new_bands
    found = []
    for (_, cve, was, now), old, new in zip(
        part[differ].itertuples(name=None), old_bands[differ], new_bands[differ], strict=True
    ):
        mark = marks[new - 1] if new > old else marks[new]  # the outermost one crossed
        found.append(
            EpssCrossed(
                cve=cve, measure=measure, mark=mark, before=_number(was), after=_number(now)
            )
        )
    return found


def _bands(numbers: "pd.Series[float]", marks: tuple[float, ...]) -> "npt.NDArray[np.intp]":
    """Return how many marks each number reaches; no number reaches none."""
    import numpy as np

    return np.searchsorted(marks, numbers.fillna(-1.0).to_numpy(), side="right")


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class CountMoved:
    """A figure of a feed that changed."""

    name: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.name}: {self.before} to {self.after} ({self.after - self.before:+d})."


def count_changes(before: FeedSnapshot, after: FeedSnapshot) -> tuple[CountMoved, ...]:
    """Return the figures of a feed that changed, in a fixed order."""
    was, now = _figures(before), _figures(after)
    names = [*was, *(name for name in now if name not in was)]
    return tuple(
        CountMoved(name=name, before=was.get(name, 0), after=now.get(name, 0))
        for name in names
        if was.get(name, 0) != now.get(name, 0)
    )


def _figures(snapshot: FeedSnapshot) -> dict[str, int]:
    return {
        "entries read": snapshot.read,
        "entries used": snapshot.count,
        "entries skipped": sum(number for _, number in snapshot.skipped),
        "entries rejected": snapshot.read
        - snapshot.count
        - sum(number for _, number in snapshot.skipped),
        **{f"entries with {name}": number for name, number in snapshot.coverage},
    }
