"""What apt and the facts script print, read into values. Pure; nothing is dropped in silence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from wavemend.managers.reading.sections import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a simulation: a package to unpack, or to remove."""

    name: str
    arch: str
    installed: str
    """Empty for a package that would be new on the host."""
    candidate: str
    """Empty for a removal."""
    origin: str
    removes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What `apt-get -s` would do, and the lines of its answer that could not be read."""

    steps: tuple[Step, ...] = ()
    unread: tuple[str, ...] = ()

    def installs(self) -> Mapping[tuple[str, str], Step]:
        """Return the steps that bring a version in, by name and architecture."""
        return {(step.name, step.arch): step for step in self.steps if not step.removes}


_INST = re.compile(
    r"Inst (?P<name>[^ :]+)(?::(?P<of>[^ ]+))?(?: \[(?P<old>[^ \]]*)\])?"
    r" \((?P<new>[^ )]+)(?: (?P<origin>.*?))? \[(?P<arch>[^ \]]+)\]\)"
)
_REMV = re.compile(r"(?:Remv|Purg) (?P<name>[^ :]+)(?::(?P<of>[^ ]+))?(?: \[(?P<old>[^ \]]*)\])?")


def read_simulation(lines: Sequence[str]) -> Simulation:
    """Read the `Inst`, `Remv` and `Purg` lines of `apt-get -s`, whatever stands behind them."""
    steps, unread = [], []
    for line in lines:
        if not line.startswith(("Inst ", "Remv ", "Purg ")):
            continue
        if found := _INST.match(line):
            steps.append(
                Step(
                    name=found["name"],
                    arch=found["arch"],
                    installed=found["old"] or "",
                    candidate=found["new"],
                    origin=found["origin"] or "",
                )
            )
        elif found := _REMV.match(line):
            steps.append(
                Step(
                    name=found["name"],
                    arch=found["of"] or "",
                    installed=found["old"] or "",
                    candidate="",
                    origin="",
                    removes=True,
                )
            )
        else:
            unread.append(line)
    return Simulation(steps=tuple(steps), unread=tuple(unread))


_LISTED = re.compile(
    r"(?P<name>[^/ ]+)/(?P<suites>\S+) (?P<new>\S+) (?P<arch>\S+)"
    r" \[upgradable from: (?P<old>[^\]]+)\]"
)


def read_upgradable(lines: Sequence[str]) -> Simulation:
    """Read `apt list --upgradable`: also what no upgrade would take, with the suites as origin."""
    steps, unread = [], []
    for line in lines:
        if found := _LISTED.match(line):
            steps.append(
                Step(
                    name=found["name"],
                    arch=found["arch"],
                    installed=found["old"],
                    candidate=found["new"],
                    origin=", ".join(part for part in found["suites"].split(",") if part != "now"),
                )
            )
        elif "upgradable from" in line:
            unread.append(line)
    return Simulation(steps=tuple(steps), unread=tuple(unread))


def read_companions(lines: Sequence[str]) -> Mapping[str, Simulation]:
    """Read one simulation per `alone <name>=<version>` line, by those words."""
    groups: dict[str, list[str]] = {}
    group: list[str] = []
    for line in lines:
        if line.startswith("alone "):
            group = groups.setdefault(line.removeprefix("alone "), [])
        else:
            group.append(line)
    return {word: read_simulation(group) for word, group in groups.items()}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from: its priority there, and the address with its release."""

    priority: int
    text: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version that `apt-cache policy` knows of a package."""

    version: str
    priority: int
    """With the pins that name this package or version."""
    sources: tuple[Source, ...]

    @property
    def security(self) -> bool:
        """True when one of its sources says security."""
        return any(says_security(source.text) for source in self.sources)


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """What apt knows of one package, newest version first."""

    candidate: str
    rows: tuple[VersionRow, ...]

    @property
    def newer(self) -> tuple[VersionRow, ...]:
        """The versions above the candidate."""
        return tuple(takewhile(lambda row: row.version != self.candidate, self.rows))


_CANDIDATE = "  Candidate: "
_VERSION_ROW = re.compile(r" (?:\*\*\*|   ) (?P<version>\S+) (?P<priority>-?[0-9]{1,9})(?: .*)?")
_SOURCE_ROW = re.compile(r" {8}\s*(?P<priority>-?[0-9]{1,9}) (?P<text>.+)")


def read_policy(lines: Sequence[str]) -> Mapping[str, PolicyTable]:
    """Read `apt-cache policy NAMES...`, by the names apt prints: a foreign one is `libc6:i386`."""
    tables: dict[str, PolicyTable] = {}
    name, candidate, rows = "", "", list[VersionRow]()
    for line in (*lines, ":"):
        if line.endswith(":") and not line.startswith(" "):
            if name:
                tables[name] = PolicyTable(candidate, tuple(rows))
            name, candidate, rows = line[:-1], "", []
        elif line.startswith(_CANDIDATE):
            candidate = line.removeprefix(_CANDIDATE).strip()
        elif found := _VERSION_ROW.fullmatch(line):
            rows.append(VersionRow(found["version"], int(found["priority"]), ()))
        elif rows and (found := _SOURCE_ROW.fullmatch(line)):
            source = Source(int(found["priority"]), found["text"])
            rows[-1] = replace(rows[-1], sources=(*rows[-1].sources, source))
    return tables


def says_security(origin: str) -> bool:
    """True when a label, suite or address says security: Debian, Ubuntu and Ubuntu's ESM do."""
    return "security" in origin.casefold()


_HARMLESS = re.compile(
    r"is configured multiple times|legacy trusted\.gpg|DEPRECATION|does not have a stable CLI"
)
"""Warnings about the host's configuration that leave the index complete."""

_AGEING = re.compile(r"uses weak (?:digest )?algorithm|Policy will reject signature within")
"""Warnings about a signature that apt still takes, because it will not for ever."""

MAX_MESSAGES = 20
"""Lines kept of one command's errors: a host without network repeats one line per repository."""


def all_messages(section: Section) -> tuple[str, ...]:
    """Return apt's errors and warnings, without repeats and without those that change nothing."""
    found = [
        line[:300]
        for line in (*section.lines, *section.errors)
        if line.startswith(("E:", "W:", "Err:"))
        and not _HARMLESS.search(line)
        and not _AGEING.search(line)
    ]
    # `Err:` lines announce what a later `E:` or `W:` line says in full; where none follows and the
    # command succeeded, another try did.
    told = [line for line in found if not line.startswith("Err:")]
    return tuple(dict.fromkeys(told or (found if section.status else ())))


def ageing_signatures(section: Section) -> tuple[str, ...]:
    """Return apt's warnings about signatures that it took and will refuse one day."""
    said = (*section.lines, *section.errors)
    return tuple(line[:300] for line in said if line.startswith("W:") and _AGEING.search(line))


def messages(section: Section) -> tuple[str, ...]:
    """Return the first of apt's errors and warnings, and how many more there are."""
    unique = all_messages(section)
    if len(unique) > MAX_MESSAGES:
        rest = len(unique) - MAX_MESSAGES
        return (*unique[:MAX_MESSAGES], f"and {rest} more lines")
    return unique


_UNMET = re.compile(r" *\S+ : (?:Pre)?(?:Depends|Conflicts|Breaks)\b.*")


def refusal_words(section: Section) -> str:
    """Return why apt-get would not do it, with the packages it names above its last line."""
    words = list(messages(section))
    changed: list[str] = []
    listing = False
    for line in section.lines:
        if _UNMET.fullmatch(line):
            words.append(" ".join(line.split()))
        if line.startswith(("The following held packages", "The following packages will be DOWN")):
            listing = True
        elif listing and line.startswith(" "):
            changed.extend(line.split())
        else:
            listing = False
    if changed:
        words.append(f"namely {', '.join(changed)}")
    return "; ".join(words[:MAX_MESSAGES]) or "without a word"


_URI = re.compile(r"'[^']*' \S+ (?P<bytes>[0-9]{1,15})(?: .*)?")
_AFTERWARDS = re.compile(
    r"After this operation, (?P<number>[0-9][0-9,]{0,15}(?:\.[0-9]{1,9})?) (?P<unit>[kMGTP]?)B"
    r" (?:of additional disk space will be used|disk space will be (?P<freed>freed))\."
)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def read_sizes(section: Section | None) -> tuple[int | None, int | None]:
    """Return what `apt-get --print-uris` says: bytes to fetch, and bytes more on disk afterwards.

    The first is exact, the second as rounded as apt prints it. None: it said nothing.
    """
    if section is None or section.status != 0:
        return None, None
    fetched = sum(int(found["bytes"]) for line in section.lines if (found := _URI.fullmatch(line)))
    for line in section.lines:
        if found := _AFTERWARDS.fullmatch(line.strip()):
            number = float(found["number"].replace(",", "")) * _UNITS[found["unit"]]
            return fetched, -int(number) if found["freed"] else int(number)
    return fetched, None
