"""CVSS assessments as feeds publish them, with the base score worked out again from the vector."""

from functools import lru_cache

from wavemend.advisories import Cvss, Reject

_CACHED_VECTORS = 16_384
"""62,734 published vectors were 2,779 different ones."""

_BASE_V4 = frozenset({"AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"})


@lru_cache(maxsize=_CACHED_VECTORS)
def base_score(version: str, vector: str) -> float | None:
    """Return the base score of a vector; None for a vector that cannot be read.

    Threat, environmental and supplemental metrics of version 4.0 are left out: with them the
    library returns the score of all of them under the name of the base score.
    """
    from cvss import CVSS2, CVSS3, CVSS4
    from cvss.exceptions import CVSSError

    try:
        if version == "4.0":
            return float(CVSS4(_only_base(vector)).base_score)
        return float((CVSS2 if version == "2.0" else CVSS3)(vector).scores()[0])
    except (CVSSError, KeyError, ValueError, IndexError):
        return None


def _only_base(vector: str) -> str:
    prefix, *metrics = vector.split("/")
    kept = [metric for metric in metrics if metric.partition(":")[0] in _BASE_V4]
    return "/".join((prefix, *kept))


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
    if version not in {"2.0", "3.0", "3.1", "4.0"}:
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
