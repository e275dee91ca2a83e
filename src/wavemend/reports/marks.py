"""A symbol, words and a colour for everything that has a meaning: colour is never alone."""

from dataclasses import dataclass

from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.reports.model import GateVerdict, RolloutState
from wavemend.reports.verdict import Answer, outcome_words


@dataclass(frozen=True, slots=True)
class Mark:
    """How one value is shown. `colour` names a CSS variable of the page."""

    symbol: str
    words: str
    colour: str


_OUTCOMES: dict[Outcome | None, tuple[str, str]] = {
    Outcome.PATCHED: ("✓", "patched"),
    Outcome.PATCHED_REBOOT_PENDING: ("↻", "restart"),
    Outcome.NOTHING_TO_DO: ("=", "nothing"),
    Outcome.FAILED: ("✕", "failed"),
    Outcome.ROLLED_BACK: ("↶", "rolled-back"),
    Outcome.SKIPPED: ("»", "skipped"),
    Outcome.BLOCKED: ("⊘", "blocked"),
    Outcome.NOT_ATTEMPTED: ("–", "not-attempted"),
    Outcome.UNREACHABLE: ("?", "unreachable"),
    Outcome.NEEDS_HUMAN: ("!", "needs-human"),
    None: ("…", "failed"),
}

SHOWN_ORDER: tuple[Outcome, ...] = (
    Outcome.PATCHED,
    Outcome.PATCHED_REBOOT_PENDING,
    Outcome.NOTHING_TO_DO,
    Outcome.SKIPPED,
    Outcome.NOT_ATTEMPTED,
    Outcome.BLOCKED,
    Outcome.ROLLED_BACK,
    Outcome.UNREACHABLE,
    Outcome.FAILED,
    Outcome.NEEDS_HUMAN,
)
"""From good over waiting to bad, so that a bar reads from left to right."""

_PACKAGES: dict[PackageOutcome | None, Mark] = {
    PackageOutcome.INSTALLED: Mark("✓", "installed", "patched"),
    PackageOutcome.HELD: Mark("⊘", "held", "blocked"),
    PackageOutcome.PHASED: Mark("–", "phased", "not-attempted"),
    PackageOutcome.NOT_ATTEMPTED: Mark("–", "not attempted", "not-attempted"),
    PackageOutcome.NOT_OFFERED: Mark("?", "not offered", "blocked"),
    PackageOutcome.CONFFILE_KEPT: Mark("!", "configuration kept", "blocked"),
    PackageOutcome.FAILED: Mark("✕", "failed", "failed"),
    None: Mark("–", "not looked at", "not-attempted"),
}

_ANSWERS: dict[Answer, Mark] = {
    Answer.YES: Mark("✓", "Yes", "patched"),
    Answer.PARTLY: Mark("", "Partly", "blocked"),
    Answer.NO: Mark("✕", "No", "failed"),
    Answer.FAILED: Mark("!", "Failed", "failed"),
}

_GATES: dict[GateVerdict | None, Mark] = {
    GateVerdict.PASSED: Mark("✓", "passed", "patched"),
    GateVerdict.FAILED: Mark("✕", "failed", "failed"),
    GateVerdict.PENDING: Mark("…", "pending", "restart"),
    None: Mark("–", "not reached", "not-attempted"),
}

_STATES: dict[RolloutState, Mark] = {
    RolloutState.DONE: Mark("✓", "done", "patched"),
    RolloutState.HALTED: Mark("✕", "halted", "failed"),
    RolloutState.WAITING_APPROVAL: Mark("⊘", "waiting for approval", "blocked"),
    RolloutState.RUNNING: Mark("…", "running", "restart"),
    RolloutState.REJECTED: Mark("✕", "rejected", "failed"),
    RolloutState.EXPIRED: Mark("–", "expired", "not-attempted"),
}


def mark_of(
    value: Outcome | PackageOutcome | Answer | GateVerdict | RolloutState | None,
) -> Mark:
    """Return how a value is shown; None is a host without an outcome."""
    match value:
        case PackageOutcome():
            return _PACKAGES[value]
        case Answer():
            return _ANSWERS[value]
        case GateVerdict():
            return _GATES[value]
        case RolloutState():
            return _STATES[value]
        case _:
            symbol, colour = _OUTCOMES[value]
            return Mark(symbol, outcome_words(value), colour)


def package_mark(value: PackageOutcome | None) -> Mark:
    """Return how a package's outcome is shown; None: no second look was taken."""
    return _PACKAGES[value]


def gate_mark(value: GateVerdict | None) -> Mark:
    """Return how a gate is shown; None: it was not reached."""
    return _GATES[value]
