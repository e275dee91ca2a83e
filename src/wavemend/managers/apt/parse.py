"""What apt and the facts script print, read into values. Pure; nothing is dropped in silence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wavemend.errors import HostAnswerInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One command's answer: its streams apart, and its exit status as the shell saw it."""

    lines: tuple[str, ...]
    errors: tuple[str, ...]
    status: int


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

    steps: tuple[Step, ...]
    unread: tuple[str, ...]

    def installs(self) -> Mapping[tuple[str, str], Step]:
        """Return the steps that bring a version in, by name and architecture."""
        return {(step.name, step.arch): step for step in self.steps if not step.removes}


def split_sections(text: str, nonce: str, host: str) -> Mapping[str, Section]:
    """Return the sections of an answer by name; raises HostAnswerInvalid when one is cut off."""
    sections: dict[str, Section] = {}
    name, lines, errors = "", list[str](), list[str]()
    into: list[str] | None = None
    for line in text.split("\n"):
        mark, _, rest = line.partition(" ")
        if mark != nonce:
            if into is not None:
                into.append(line)
            continue
        kind, _, what = rest.partition(" ")
        match kind:
            case "begin":
                name, lines, errors = what, [], []
                into = lines
            case "errors" if what == name:
                into = errors
            case "end" if re.fullmatch(rf"{re.escape(name)} [0-9]{{1,3}}", what):
                status = int(what.rpartition(" ")[2])
                sections[name] = Section(
                    lines=_trimmed(lines), errors=_trimmed(errors), status=status
                )
                into = None
    if "end" not in sections:
        raise HostAnswerInvalid(
            f"{host}: the answer breaks off after {name or 'nothing'}",
            hint="look whether the login's shell works and /bin/sh can be run as root",
        )
    return sections


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.rstrip("\r") for line in lines if line.strip())


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


_VERSION_ROW = re.compile(r" (?:\*\*\*|   ) (?P<version>\S+) -?[0-9]+")


def read_policy(lines: Sequence[str]) -> Mapping[str, tuple[tuple[str, bool], ...]]:
    """Return per package the versions `apt-cache policy` knows; True: from a security source."""
    table: dict[str, list[tuple[str, bool]]] = {}
    rows: list[tuple[str, bool]] = []
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            rows = table.setdefault(line[:-1], [])
        elif found := _VERSION_ROW.match(line):
            rows.append((found["version"], False))
        elif rows and line.startswith("        ") and says_security(line):
            rows[-1] = (rows[-1][0], True)
    return {name: tuple(rows) for name, rows in table.items()}


def says_security(origin: str) -> bool:
    """True when a label, suite or address says security: Debian, Ubuntu and Ubuntu's ESM do."""
    return "security" in origin.casefold()


_HARMLESS = re.compile(
    r"is configured multiple times|legacy trusted\.gpg|DEPRECATION|does not have a stable CLI"
)
"""Warnings about the host's configuration that leave the index complete."""

MAX_MESSAGES = 20
"""Lines kept of one command's errors: a host without network repeats one line per repository."""


def messages(section: Section) -> tuple[str, ...]:
    """Return apt's errors and warnings, without repeats and without those that change nothing."""
    found = [
        line[:300]
        for line in (*section.lines, *section.errors)
        if line.startswith(("E:", "W:", "Err:")) and not _HARMLESS.search(line)
    ]
    # `Err:` lines announce what a later `E:` or `W:` line says in full.
    found = [line for line in found if not line.startswith("Err:")] or found
    unique = tuple(dict.fromkeys(found))
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
