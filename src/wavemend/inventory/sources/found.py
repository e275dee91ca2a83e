"""What a reader found in a file: hosts, groups, what it left out, and what is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_FILE = 50_000_000
"""Bytes; a NetBox export of about 20,000 devices. More is no list of hosts."""

MOST_HOSTS = 100_000
"""Of one source: a mistyped range must not fill the memory."""

Spot = str
"""Where something stands, for people: `hosts.csv:4, column port`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be read, and where."""

    spot: Spot
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundHost:
    """A host as a fleet file would write it; not checked yet."""

    name: str
    spot: Spot
    values: Mapping[str, object]
    """Keys of a host in a fleet file, without its name. What is not said is not here."""
    user: str = ""
    """Account of the login that is meant, where the file names no login."""
    spots: Mapping[tuple[str, ...], Spot] = field(default_factory=dict)
    """Where single values stand, e.g. that of `("labels", "os")`, if elsewhere than the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGroup:
    """A named set of hosts, never empty."""

    name: str
    spot: Spot
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything a file holds. With faults, the hosts are not all there."""

    hosts: tuple[FoundHost, ...] = ()
    groups: tuple[FoundGroup, ...] = ()
    faults: tuple[Fault, ...] = ()
    left_out: tuple[Fault, ...] = ()
    """Machines that are in the file and do not become hosts, with the reason."""
    ignored: tuple[tuple[str, int], ...] = ()
    """What the file says that means nothing here, and how often; sorted."""


def refused(spot: Spot, what: str) -> Found:
    """Return what is found in a file that cannot be read at all."""
    return Found(faults=(Fault(spot, what),))


def counted(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Count words, sorted by word."""
    numbers: dict[str, int] = {}
    for word in words:
        numbers[word] = numbers.get(word, 0) + 1
    return tuple(sorted(numbers.items()))


def text_of(path: Path, shown: str) -> str | Fault:
    """Return a file's text without a byte order mark, or why it cannot be had."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        return Fault(shown, f"cannot be read: {error.strerror}; check the path")
    if len(content) > LARGEST_FILE:
        return Fault(shown, f"is larger than {LARGEST_FILE // 1_000_000} MB; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Fault(f"{shown}:{line}", "is not UTF-8 text; save the file as UTF-8")
