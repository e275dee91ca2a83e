"""What a feed may not fall below without a signature, whatever became of its stored copy.

A state that is damaged or deleted takes its date and its figures with it; without another memory
an older copy with half the entries would be taken in its place as if it were the first. Values and
pure rules; `store/floor_file.py` keeps a floor beside the states, `ledger/intake.py` in the ledger.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from wavemend.advisories import FeedSnapshot, KevEntry
from wavemend.feeds.changes import strictest


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """One accepted state, as far as the next one is compared with it."""

    digest: str
    """Of the state; empty: of more than one."""
    data_date: datetime | None
    count: int
    coverage: tuple[tuple[str, int], ...] = ()
    in_force: tuple[tuple[str, KevEntry], ...] = ()
    """Entries of KEV that a new catalogue may not take back unseen. The file beside the states has
    all of them; the ledger only those that were taken back already and stay in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the ledger knows of one feed's accepted states."""

    floor: Floor | None = None
    """Of the state that was accepted last."""
    compiled: Mapping[str, str] = field(default_factory=dict)
    """By the digest of a state: the SHA-256 of what was compiled from its documents."""


def floor_of(snapshot: FeedSnapshot) -> Floor:
    """Return what the next state is compared with when this one is in use."""
    return Floor(
        digest=snapshot.digest,
        data_date=snapshot.data_date,
        count=snapshot.count,
        coverage=snapshot.coverage,
        in_force=snapshot.kept,
    )


def strictest_floor(*floors: Floor | None) -> Floor | None:
    """Join floors so that nothing passes that one of them stops; None: there is none."""
    known = [floor for floor in floors if floor is not None]
    if not known:
        return None
    dates = [floor.data_date for floor in known if floor.data_date is not None]
    coverage: dict[str, int] = {}
    entries: dict[str, KevEntry] = {}
    for floor in known:
        for name, number in floor.coverage:
            coverage[name] = max(number, coverage.get(name, 0))
        for cve, entry in floor.in_force:
            entries[cve] = strictest(entry, entries.get(cve))
    digests = {floor.digest for floor in known}
    return Floor(
        digest=digests.pop() if len(digests) == 1 else "",
        data_date=max(dates, default=None),
        count=max(floor.count for floor in known),
        coverage=tuple(sorted(coverage.items())),
        in_force=tuple(sorted(entries.items())),
    )


def altered(snapshot: FeedSnapshot, remembered: Remembered | None) -> str:
    """Say that a state's compiled content is not the one the ledger knows; empty: nothing is wrong.

    A state the ledger never heard of has nothing to be compared with.
    """
    known = remembered.compiled.get(snapshot.digest, "") if remembered else ""
    if not known or known == snapshot.compiled:
        return ""
    return (
        f"the stored copy of feed {snapshot.feed} ({snapshot.digest[:12]}) was changed after it "
        "was accepted: its compiled content is not the one the ledger knows."
    )
