"""Severity in four steps, from a CVSS score or from a vendor's own word."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Clock(StrEnum):
    """From when the days of a deadline count."""

    DETECTED = "detected"
    """From the first look that found it."""
    RELEASE = "release"
    """From the day the vendor published the fix."""


class Severity(StrEnum):
    """The qualitative scale of CVSS; vendors' words are taken to mean the same."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return _RANKS[self]


_RANKS: Mapping[str, int] = MappingProxyType({item: place for place, item in enumerate(Severity)})

CVSS_STEPS: tuple[tuple[float, Severity], ...] = (
    (9.0, Severity.CRITICAL),
    (7.0, Severity.HIGH),
    (4.0, Severity.MEDIUM),
    (0.0, Severity.LOW),
)
"""From this score on; the rating scale of the CVSS 3.1 specification, section 5."""

_WORDS: Mapping[str, Severity] = MappingProxyType(
    {
        "critical": Severity.CRITICAL,
        "important": Severity.HIGH,
        "high": Severity.HIGH,
        "moderate": Severity.MEDIUM,
        "medium": Severity.MEDIUM,
        "low": Severity.LOW,
        "negligible": Severity.LOW,
    }
)


def severity_of_score(score: float) -> Severity:
    """Return what a CVSS score from 0 to 10 is called."""
    return next(severity for least, severity in CVSS_STEPS if score >= least)


def plain_word(word: str) -> str:
    """Return a vendor's word as it is compared: Rocky writes `SEVERITY_IMPORTANT`."""
    return word.strip().casefold().removeprefix("severity_")


def severity_of_word(word: str) -> Severity | None:
    """Return what a vendor's word means; None: it says nothing, or nothing we know."""
    return _WORDS.get(plain_word(word))
