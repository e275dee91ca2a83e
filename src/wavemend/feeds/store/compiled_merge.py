"""Joining what several feeds say under one key: the written rules, and a Mapping that applies them.

Every rule takes the values in the order of the table of feeds and depends on nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

from wavemend.advisories import Advisory, Cvss, Exploit, KevEntry, Ssvc, cve_order
from wavemend.feeds.changes import strictest

_K = TypeVar("_K")
_V = TypeVar("_V")

CVES_REMEMBERED = 16_384
"""Answers kept per kind. A fleet of one distribution meets some thousands of CVEs."""
PLACES_REMEMBERED = 4_096
"""Answers kept about packages: a host has some hundreds of sources, `linux` has 6,000 texts."""

CISA = "cisa-adp"


class Joined(Mapping[_K, _V], Generic[_K, _V]):
    """Several feeds' Mappings as one, asked key by key; answers are remembered, and bounded."""

    def __init__(
        self,
        parts: Sequence[Mapping[_K, _V]],
        join: Callable[[Sequence[_V]], _V],
        most: int = CVES_REMEMBERED,
    ) -> None:
        self._parts = tuple(parts)
        self._join = join
        self._most = most
        self._look = lru_cache(maxsize=most)(self._read)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without what is remembered."""
        return Joined, (self._parts, self._join, self._most)

    def _read(self, key: _K) -> _V | None:
        found = [value for part in self._parts if (value := part.get(key)) is not None]
        return self._join(found) if found else None

    def __getitem__(self, key: _K) -> _V:
        value = self._look(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return any(key in part for part in self._parts)

    def __iter__(self) -> Iterator[_K]:
        if len(self._parts) == 1:
            return iter(self._parts[0])
        return iter(sorted({key for part in self._parts for key in part}, key=_order))

    def __len__(self) -> int:
        if len(self._parts) == 1:
            return len(self._parts[0])
        return len({key for part in self._parts for key in part})


def _order(key: object) -> Any:
    return (*cve_order(key), key) if isinstance(key, str) else key


def first(values: Sequence[_V]) -> _V:
    """Take the first feed's word."""
    return values[0]


def first_text(values: Sequence[str]) -> str:
    """Take the first text that says anything."""
    return next((value for value in values if value), "")


def earliest_kev(values: Sequence[KevEntry]) -> KevEntry:
    """Take the first entry; of all due dates the earliest governs, and ransomware is not unsaid.

    The catalogue is to be first: others repeat it with a delay.
    """
    dates = [value.due_date for value in values if value.due_date is not None]
    ransomware = any(value.ransomware for value in values) or values[0].ransomware
    return replace(values[0], due_date=min(dates, default=None), ransomware=ransomware)


def strictest_kev(values: Sequence[KevEntry]) -> KevEntry:
    """Take what the catalogue says, made no softer by what it took back: see `changes.py`."""
    found, *kept = values
    for entry in kept:
        found = strictest(entry, found)
    return found


def all_candidates(values: Sequence[tuple[Cvss, ...]]) -> tuple[Cvss, ...]:
    """Collect every assessment; one that another feed repeats counts once, as the first gave it."""
    found: list[Cvss] = []
    known: set[tuple[str, str, str]] = set()
    for candidates in values:
        found += [item for item in candidates if _assessment(item) not in known]
        known |= {_assessment(item) for item in candidates}
    return tuple(found)


def _assessment(item: Cvss) -> tuple[str, str, str]:
    return item.source, item.version, item.vector


def strictest_ssvc(values: Sequence[Ssvc]) -> Ssvc:
    """Take the stricter answer to each question; who was contradicted is said in the source.

    CISA's own answers are named first. A question one feed left open is no contradiction.
    """
    ordered = sorted(values, key=lambda answers: answers.source != CISA)
    found = ordered[0]
    for other in ordered[1:]:
        found = replace(
            found,
            exploitation=max(found.exploitation, other.exploitation, key=_EXPLOITATION.index),
            automatable=_either(found.automatable, other.automatable),
            impact_total=_either(found.impact_total, other.impact_total),
        )
    if all(_agree(one, other) for one in ordered for other in ordered):
        return found
    said = "; ".join(dict.fromkeys(f"{item.source}: {_in_words(item)}" for item in ordered))
    return replace(found, source=f"{said}; the stricter answer to each question counts")


_EXPLOITATION = ("", "none", "poc", "active")


def _agree(one: Ssvc, other: Ssvc) -> bool:
    pairs = (
        (one.exploitation or None, other.exploitation or None),
        (one.automatable, other.automatable),
        (one.impact_total, other.impact_total),
    )
    return all(left is None or right is None or left == right for left, right in pairs)


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one is None or other is None:
        return other if one is None else one
    return one or other


def _in_words(said: Ssvc) -> str:
    words = {True: "yes", False: "no", None: "not answered"}
    return (
        f"exploitation {said.exploitation or 'not answered'}, automatable "
        f"{words[said.automatable]}, total impact {words[said.impact_total]}"
    )


def all_exploits(values: Sequence[tuple[Exploit, ...]]) -> tuple[Exploit, ...]:
    """Collect all evidence, sorted; the same piece once."""
    pieces = {piece for evidence in values for piece in evidence}
    return tuple(
        sorted(pieces, key=lambda item: (item.kind, item.reference, str(item.published or "")))
    )


def in_order_of_id(values: Sequence[tuple[Advisory, ...]]) -> tuple[Advisory, ...]:
    """Collect all advisories, sorted by id; of equal ids the first feed's come first."""
    return tuple(sorted(all_statements(values), key=lambda item: item.id))


def all_statements(values: Sequence[tuple[_V, ...]]) -> tuple[_V, ...]:
    """Collect what all feeds say, in their order."""
    return tuple(item for statements in values for item in statements)
