"""The steps apk says it would do, or did: one line for each package. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wavemend.managers.reading.sections import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of `apk --simulate`."""

    action: str
    """`Upgrading`, `Installing`, `Purging`, `Downgrading`, `Replacing`, `Reinstalling`."""
    name: str
    old: str
    """Empty where the package is not there, or stays at its version."""
    new: str
    """Empty where the package goes."""


_NUMBERED = re.compile(r"\([0-9 ]+/[0-9 ]+\) (?P<step>.+)")
_STEP = re.compile(
    r"(?P<action>Upgrading|Installing|Purging|Downgrading|Replacing|Reinstalling|Updating pinning)"
    r" (?P<name>[^ @]+)(?:@\S+)? \((?:(?P<old>\S+) -> )?(?P<new>\S+)\)"
)


def read_steps(lines: Sequence[str]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps in their order, and the numbered lines that could not be read."""
    steps, unread = [], []
    for line in lines:
        numbered = _NUMBERED.fullmatch(line)
        if numbered is None:
            continue
        found = _STEP.fullmatch(numbered["step"])
        if found is None:
            unread.append(line)
            continue
        gone = found["action"] == "Purging"
        steps.append(
            Step(
                action=found["action"],
                name=found["name"],
                old=found["new"] if gone else found["old"] or "",
                new="" if gone else found["new"],
            )
        )
    return tuple(steps), tuple(unread)


def troubles(section: Section) -> tuple[str, ...]:
    """Return apk's errors and warnings, without repeats; errors come with their next lines."""
    found: list[str] = []
    detail = False
    for line in (*section.lines, *section.errors):
        if line.startswith(("ERROR: ", "WARNING: ")):
            found.append(line[:300])
            detail = line.startswith("ERROR: ")
        elif detail and line.startswith("  "):
            found[-1] = f"{found[-1]} {line.strip()}"[:300]
        else:
            detail = False
    return tuple(dict.fromkeys(found))[:20]
