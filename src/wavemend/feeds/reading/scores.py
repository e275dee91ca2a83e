"""CVSS assessments as feeds publish them, with the base score worked out again from the vector."""

from functools import lru_cache

from wavemend.advisories import Cvss, Reject

_CACHED_VECTORS = 16_384
"""62,734 published vectors were 2,779 different ones."""

_NOT_BASE_3 = frozenset(
    {"E", "RL", "RC", "CR", "IR", "AR", "MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA"}
)
_NOT_BASE_4 = (_NOT_BASE_3 - {"RL", "RC", "MS", "MC", "MI", "MA"}) | {
    *("MAT", "MVC", "MVI", "MVA", "MSC", "MSI", "MSA"),
    *("S", "AU", "R", "V", "RE", "U"),
}
_NOT_BASE = {
    "2.0": frozenset({"E", "RL", "RC", "CDP", "TD", "CR", "IR", "AR"}),
    "3.0": _NOT_BASE_3,
    "3.1": _NOT_BASE_3,
    "4.0": _NOT_BASE_4,
}
"""Metrics of a place and a time (threat, environment, supplement) by version. MSRC's vectors carry
some, and one in eight of version 4.0."""


@lru_cache(maxsize=_CACHED_VECTORS)
def base_score(version: str, vector: str) -> float | None:
    """Return the base score of a vector; None for a vector that cannot be read.

    Only base metrics are looked at: with the others the library returns, for version 4.0, the
    score of all of them under the name of the base score.
    """
    from cvss import CVSS2, CVSS3, CVSS4
    from cvss.exceptions import CVSSError

    base = only_base(version, vector)
    try:
        if version == "4.0":
            return float(CVSS4(base).base_score)
        return float((CVSS2 if version == "2.0" else CVSS3)(base).scores()[0])
    except (CVSSError, KeyError, ValueError, IndexError):
        return None


def only_base(version: str, vector: str) -> str:
    """Return the vector without the metrics that say something of a place or a time.

    A metric that no version knows stays, and makes the vector unreadable: it is not ours to guess.
    """
    leave = _NOT_BASE.get(version, frozenset())
    return "/".join(part for part in vector.split("/") if part.partition(":")[0] not in leave)


def version_of(vector: str) -> str:
    """Return the CVSS version a vector names; version 2.0 writes no name."""
    if vector.startswith("CVSS:"):
        return vector[5:8]
    return "2.0"


def assessment(
    *, vector: str, published: object, source: str, where: str
) -> tuple[Cvss | None, Reject | None]:
    """Build one assessment; what cannot be used comes back as a Reject, what is odd as both.

    `published` is the number the feed prints, or None where it prints only the vector.
    """
    version = version_of(vector)
    if version not in _NOT_BASE:
        return None, Reject(where=where, reason=f"CVSS vector of an unknown version: {vector:.80}")
    computed = base_score(version, vector)
    score = computed if published is None else published
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 10:
        return None, Reject(where=where, reason=f"CVSS score {score!r:.40} is not from 0 to 10")
    found = Cvss(
        version=version, vector=vector, score=float(score), computed_score=computed, source=source
    )
    if computed is None:
        return found, Reject(where=where, reason=f"CVSS vector cannot be read: {vector:.80}")
    return found, None


def in_fixed_order(found: list[Cvss]) -> tuple[Cvss, ...]:
    """Return assessments in an order that does not depend on the document's: that means nothing."""
    return tuple(sorted(found, key=lambda item: (item.source, item.version, item.vector)))
