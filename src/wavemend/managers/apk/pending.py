"""Which updates are pending, what they bring, and what keeps some of them away. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wavemend.hosts import InstalledPackage, PendingUpdate
from wavemend.managers.apk.steps import Step, read_steps
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of
from wavemend.packages import Target
from wavemend.versions import apk_key

_LISTED = re.compile(
    r"(?P<name>\S+)-(?P<new>[0-9][^- ]*-r[0-9]+) (?P<arch>\S+) \{(?P<origin>\S+)\} .*"
    r"\[upgradable from: (?P=name)-(?P<old>[0-9][^- ]*-r[0-9]+)\]"
)
_WANTED = re.compile(r"(?P<name>[^<>=~@!]+)(?P<sign>[<>=~]+)[^@]+(?:@\S+)?")
_PINS = frozenset({"=", "<", "<=", "~", "=~", "~=", "<~", "><"})
"""Signs of /etc/apk/world that keep a package from becoming newer; `>` and `>=` do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of `apk list --upgradable`."""

    name: str
    arch: str
    old: str
    new: str


def pinned_names(world: Section) -> frozenset[str]:
    """Return the packages that /etc/apk/world holds at a version."""
    words = (word for line in world.lines for word in line.split())
    found = (_WANTED.fullmatch(word) for word in words)
    return frozenset(item["name"] for item in found if item and item["sign"] in _PINS)


def read_listed(section: Section) -> tuple[Mapping[str, Listed], tuple[str, ...]]:
    """Return the newest candidate of each package, and the lines that could not be read."""
    listed: dict[str, Listed] = {}
    unread = []
    for line in section.lines:
        found = _LISTED.fullmatch(line.strip())
        if found is None:
            if "upgradable from" in line:
                unread.append(line)
            continue
        row = Listed(name=found["name"], arch=found["arch"], old=found["old"], new=found["new"])
        known = listed.get(row.name)
        if known is None or _newer(row.new, known.new):
            listed[row.name] = row
    return listed, tuple(unread)


def _newer(first: str, second: str) -> bool:
    try:
        return apk_key(first) > apk_key(second)
    except ValueError:
        return False


def pending_updates(
    sections: Mapping[str, Section],
    installed: Mapping[str, InstalledPackage],
    pinned: frozenset[str],
    origin: str,
) -> tuple[tuple[PendingUpdate, ...], tuple[str, ...]]:
    """Return the updates of installed packages, and the lines that could not be read.

    `upgradable` is what is newer, `simulated` what a whole upgrade would take of it; `alone-NAME`
    what one update takes with it. What is newer and not taken is pinned, or kept back.
    """
    listed, unread = read_listed(sections["upgradable"])
    steps, odd = read_steps(sections["simulated"].lines)
    taken = {step.name: step for step in steps if step.action == "Upgrading"}
    updates = []
    for name in sorted({*listed, *taken}):
        row, step = listed.get(name), taken.get(name)
        package = installed.get(name)
        beside = [
            other
            for other in read_steps(lines_of(sections, f"alone-{name}"))[0]
            if other.name != name
        ]
        brings = tuple(sorted(_target(other, listed, installed) for other in beside if other.new))
        new = any(other.action == "Installing" for other in beside)
        removes = tuple(sorted(other.name for other in beside if not other.new))
        updates.append(
            PendingUpdate(
                name=name,
                arch=(row.arch if row else "") or (package.arch if package else ""),
                installed=step.old if step else row.old if row else "",
                candidate=step.new if step else row.new if row else "",
                origin=origin,
                held=step is None and name in pinned,
                kept_back=new or bool(removes) or (step is None and name not in pinned),
                brings=brings if step else (),
                removes=removes,
            )
        )
    return tuple(updates), (*unread, *odd)


def _target(
    step: Step, listed: Mapping[str, Listed], installed: Mapping[str, InstalledPackage]
) -> Target:
    row, package = listed.get(step.name), installed.get(step.name)
    arch = row.arch if row else package.arch if package else ""
    return Target(name=step.name, arch=arch, version=step.new)
