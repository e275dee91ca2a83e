"""Ends of life: a release or package that gets no fixes any more, or soon, is a finding.

Debian's lists may name packages by a pattern, `golang.*`, which its own script takes for a regular
expression over the whole name of a source package, whatever its version. Of such expressions the
lists use one thing, `.*`; that is read here, and nothing else, so that a document cannot bring an
expression that takes for ever. What is not understood is said, once per host.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from wavemend.advisories import AdvisoryStatus, Lifecycle, UpdateClass
from wavemend.findings import Because, Finding
from wavemend.hosts import Facts, InstalledPackage
from wavemend.knowledge import Intelligence
from wavemend.versions import Scheme, key_of

SOON = timedelta(days=90)
"""How long before its end a release or package is a finding: time to plan an upgrade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """A release, or a source package in it, whose life cycle is known."""

    package: str
    """Source package; empty: the whole release."""
    installed: str
    """Version of the release or of the package."""
    binaries: tuple[str, ...] = ()


_SOURCE = re.compile(r"[a-z0-9][a-z0-9+.-]*", re.IGNORECASE)
_PATTERN = re.compile(r"(?:[a-z0-9+-]|\.\*?)+", re.IGNORECASE)
_MOST_RUNS = 3
"""Each `.*` more multiplies what a comparison may cost; the lists have one, at the end."""

_CACHED_SOURCES = 65_536


def pattern_of(name: str) -> re.Pattern[str] | None:
    """Return the pattern a listed name is; None: it is none that is understood. Pure.

    A `+` belongs to the name: whoever lists `libsigc++` means the package of that name.
    """
    if "*" not in name or not _PATTERN.fullmatch(name) or name.count(".*") > _MOST_RUNS:
        return None
    literal = (re.escape(part).replace(r"\.", ".") for part in name.split(".*"))
    return re.compile(".*".join(literal))


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the life cycles of some releases name."""

    names: frozenset[str]
    patterns: tuple[tuple[str, re.Pattern[str]], ...]
    unread: tuple[str, ...]
    """Neither names nor patterns that are understood, sorted."""


class Ends:
    """Finds the ends of life of hosts by one state of the feeds."""

    def __init__(self, intelligence: Intelligence) -> None:
        """Note of which packages a life cycle is known; there are few."""
        self._intelligence = intelligence
        self._packages: dict[str, set[str]] = {}
        for release, package in intelligence.lifecycles:
            self._packages.setdefault(release, set()).add(package)
        self._listed = lru_cache(1024)(self._list)
        self._named = lru_cache(_CACHED_SOURCES)(self._names)

    def of(
        self,
        facts: Facts,
        installed: Iterable[InstalledPackage],
        scheme: Scheme | None,
        today: date,
    ) -> list[Finding]:
        """Return the ends of a host's release and of the source packages on it.

        As findings without id, tenant and host: first the release, then by package. `scheme`
        tells the oldest build of a source; None: it is not known how the versions compare.
        """
        keys = self._keys(facts)
        builds: dict[str, list[InstalledPackage]] = {}
        for package in installed if self._listed(keys) != _NOTHING_LISTED else ():
            source = package.source or package.name
            if self._named(keys, source):
                builds.setdefault(source, []).append(package)
        release = Aged(package="", installed=facts.os_version or facts.codename)
        found = [end_of_life(release, self._lifecycles(keys, ("",)), today)]
        for source in sorted(builds):
            lifecycles = self._lifecycles(keys, self._named(keys, source))
            found.append(end_of_life(_aged(source, builds[source], scheme), lifecycles, today))
        return [finding for finding in found if finding is not None]

    def unread(self, facts: Facts) -> tuple[str, ...]:
        """Return the listed names that are not understood: what they mean cannot be said."""
        return self._listed(self._keys(facts)).unread

    def _keys(self, facts: Facts) -> tuple[str, ...]:
        return tuple(key for key in facts.release_keys if key in self._packages)

    def _list(self, keys: tuple[str, ...]) -> _Listed:
        every = sorted({name for key in keys for name in self._packages[key]} - {""})
        names = frozenset(name for name in every if _SOURCE.fullmatch(name))
        patterns = {name: pattern for name in every if (pattern := pattern_of(name))}
        unread = tuple(name for name in every if name not in names and name not in patterns)
        if not every:
            return _NOTHING_LISTED
        return _Listed(names, tuple(patterns.items()), unread)

    def _names(self, keys: tuple[str, ...], source: str) -> tuple[str, ...]:
        """Return by which of the listed names a source package is meant."""
        listed = self._listed(keys)
        own = (source,) if source in listed.names else ()
        return (*own, *(name for name, pattern in listed.patterns if pattern.fullmatch(source)))

    def _lifecycles(self, keys: Iterable[str], names: Sequence[str]) -> list[Lifecycle]:
        return [
            item
            for key in keys
            for name in names
            for item in self._intelligence.lifecycles_for(key, name)
        ]


_NOTHING_LISTED = _Listed(frozenset(), (), ())


def _aged(source: str, builds: Sequence[InstalledPackage], scheme: Scheme | None) -> Aged:
    versions = [item.source_version or item.version for item in builds]
    return Aged(
        package=source,
        installed=_oldest(versions, scheme),
        binaries=tuple(sorted({item.name for item in builds})),
    )


def _oldest(versions: Sequence[str], scheme: Scheme | None) -> str:
    if scheme is not None:
        try:
            return min(versions, key=lambda version: key_of(scheme, version))
        except ValueError:
            pass  # shown, not compared: the end of life holds for every version
    return min(versions)


def end_of_life(aged: Aged, lifecycles: Sequence[Lifecycle], today: date) -> Finding | None:
    """Return the finding, without id, tenant and host, or None while fixes still come. Pure.

    Where feeds differ the earliest end governs.
    """
    ranked = sorted(
        ((_state(item, today), item) for item in lifecycles),
        key=lambda pair: (pair[0], pair[1].ends or date.max, pair[1].feed, pair[1].release),
    )
    if not ranked or ranked[0][0] == _FINE:
        return None
    state, lifecycle = ranked[0]
    paid = lifecycle.paid_ends or max(
        (item.paid_ends for item in lifecycles if item.paid_ends), default=None
    )
    subject = f"{aged.package}:" if aged.package else ""
    name = ":".join(part for part in ("eol", lifecycle.release, aged.package) if part)
    return Finding(
        id="",
        tenant="",
        host="",
        cve="",
        package=aged.package or lifecycle.release,
        binaries=aged.binaries,
        installed=aged.installed,
        fixed=None,
        fix_pending=False,
        because=Because(
            feed=lifecycle.feed,
            document=lifecycle.document,
            compared=_compared(subject, aged, lifecycle, state),
        ),
        advisory=name,
        update_class=UpdateClass.END_OF_LIFE,
        status=AdvisoryStatus.WILL_NOT_FIX if state == _ENDED else AdvisoryStatus.UNFIXED,
        ends=lifecycle.ends,
        note=_note(lifecycle, state, paid, today),
    )


_ENDED, _SOON, _LIMITED, _FINE = range(4)


def _state(lifecycle: Lifecycle, today: date) -> int:
    ends = lifecycle.ends
    if lifecycle.ended or (ends is not None and ends < today):
        return _ENDED
    if ends is not None and ends - today <= SOON:
        return _SOON
    return _LIMITED if lifecycle.limited else _FINE


def _compared(subject: str, aged: Aged, lifecycle: Lifecycle, state: int) -> str:
    """Name no number of days: what is written today must not read differently tomorrow."""
    where = (
        f"{aged.package} {aged.installed} in {lifecycle.release}"
        if subject
        else (f"{lifecycle.release} ({aged.installed})")
    )
    if state == _LIMITED:
        return f"{where}: fixes come for some uses only"
    if lifecycle.ends is None:
        return f"{where}: free fixes have ended"
    return f"{where}: free fixes {'ended' if state == _ENDED else 'end'} on {lifecycle.ends}"


def _note(lifecycle: Lifecycle, state: int, paid: date | None, today: date) -> str:
    said = [lifecycle.note] if lifecycle.note else []
    if state == _SOON:
        said.append(f"Ends within {SOON.days} days.")
    if lifecycle.limited and state != _LIMITED:
        said.append("Until then fixes come for some uses only.")
    if paid is not None:
        word = "ended" if paid < today else "end"
        said.append(f"Fixes for paying machines {word} on {paid}.")
    return " ".join(said)
