"""Which updates of a plain upgrade need each other: none of them may come in alone. Pure.

A plan may take only some of them, the security updates for one. Of packages that no plain upgrade
would take, a simulation of each tells; here only what pending packages say of each other is read.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wavemend.hosts import is_turned
from wavemend.managers.apt.parse import Step
from wavemend.versions import VersionKey, deb_key

Key = tuple[str, str]
"""Name and architecture of a package."""

_TERM = re.compile(
    r"(?P<name>[^\s:(]+)(?::\S+)?(?:\s*\((?P<sign><<|<=|=|>=|>>|<|>)\s*(?P<version>[^)\s]+)\))?.*"
)
_SIGNS: Mapping[str, Callable[[VersionKey, VersionKey], bool]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "<": operator.le,  # what dpkg makes of the old forms
    "=": operator.eq,
    ">": operator.ge,
    ">=": operator.ge,
    ">>": operator.gt,
}


@dataclass(frozen=True, slots=True)
class _Term:
    """`name (>= version)`; without a sign any version is meant."""

    name: str
    sign: str
    version: str

    def holds(self, version: str) -> bool:
        """Say whether a version is meant; one that cannot be compared is: nothing hangs on it."""
        try:
            return not self.sign or _SIGNS[self.sign](deb_key(version), deb_key(self.version))
        except ValueError:
            return True


def bound(lines: Sequence[str], steps: Mapping[Key, Step]) -> Mapping[Key, frozenset[Key]]:
    """Return which other steps each of these needs, itself left out, over any number of steps.

    Lines are `<comes|stays> <name> <architecture> <Depends|Breaks> <relation>`, with tabs in
    between: of the packages as they come, and as they are.
    """
    by_name: dict[str, list[Step]] = {}
    for step in steps.values():
        by_name.setdefault(step.name, []).append(step)
    needs: dict[Key, set[Key]] = {key: set() for key in steps}
    for line in lines:
        for needing, needed in _pairs(line.split("\t"), by_name):
            if needing in needs and needed in steps and needing != needed:
                needs[needing].add(needed)
    return {key: frozenset(_reached(key, needs) - {key}) for key in steps}


def _pairs(
    words: Sequence[str], by_name: Mapping[str, Sequence[Step]]
) -> Iterator[tuple[Key, Key]]:
    """Yield who needs whom, by one line; a line in another form says nothing."""
    if len(words) != 5:
        return
    when, name, arch, kind, relation = words
    found = [_Found.of(text, arch, by_name) for text in relation.split("|")]
    if not all(each.steps for each in found):
        return  # something else than the pending packages may fulfil it
    if when == "stays":
        if len(found) == 1:  # it would not go with the other one's new version
            for step in found[0].lost:
                yield from ((_key(step), _key(own)) for own in by_name.get(name, ()))
    elif kind == "Breaks":
        # In its way is the version that is installed, and not the one that comes.
        yield from (((name, arch), _key(step)) for each in found for step in each.lost)
    elif not any(each.held for each in found):
        wanted = next((each.gained for each in found if each.gained), ())
        yield from (((name, arch), _key(step)) for step in wanted)


@dataclass(frozen=True, slots=True)
class _Found:
    """The pending packages that one term of a relation is about."""

    term: _Term
    steps: tuple[Step, ...]

    @staticmethod
    def of(text: str, arch: str, by_name: Mapping[str, Sequence[Step]]) -> "_Found":
        """Read a term, as a package of this architecture means it."""
        term = _term(text)
        near = (step for step in by_name.get(term.name, ()) if _fits(step, arch))
        return _Found(term, tuple(near))

    @property
    def held(self) -> bool:
        """True when an installed version is meant."""
        return any(self.term.holds(step.installed) for step in self.steps)

    @property
    def gained(self) -> tuple[Step, ...]:
        """The steps after which the term holds."""
        return tuple(step for step in self.steps if self.term.holds(step.candidate))

    @property
    def lost(self) -> tuple[Step, ...]:
        """The steps after which the term does not hold any more."""
        met = (step for step in self.steps if self.term.holds(step.installed))
        return tuple(step for step in met if not self.term.holds(step.candidate))


def _term(text: str) -> _Term:
    found = _TERM.fullmatch(text.strip())
    return _Term(found["name"], found["sign"] or "", found["version"] or "") if found else _NONE


_NONE = _Term("", "", "")


def _fits(step: Step, arch: str) -> bool:
    return step.arch == arch or is_turned(step.arch, arch)


def _key(step: Step) -> Key:
    return step.name, step.arch


def _reached(start: Key, needs: Mapping[Key, set[Key]]) -> set[Key]:
    seen: set[Key] = set()
    waiting = [start]
    while waiting:
        fresh = needs[waiting.pop()] - seen
        seen |= fresh
        waiting += fresh
    return seen
