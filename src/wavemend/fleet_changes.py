"""What a new fleet changes in the one in force: added, removed, and field by field. Pure.

References to secrets are compared and never shown: a `command:` may hold a token.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from wavemend.calendar.durations import format_duration
from wavemend.fleet import Fleet
from wavemend.hosts import Host

FREE_REMOVALS = 5
"""Hosts that may go at once without being counted out loud,"""

FREE_SHARE = 10
"""and the percentage of the fleet: a file that was cut off must not empty it."""

_NOT_COMPARED = frozenset({"source_path", "digest"})
_REFERENCES = frozenset({"key", "known_hosts", "ssh_config", "become_password", "become"})
_HIDDEN = "(not shown)"
_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field of something that is in both fleets."""

    field: str
    """As in a fleet file, e.g. `waves.pilot.gate.soak`."""
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionChange:
    """What becomes of one section: hosts, groups, policies, windows and so on."""

    section: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[tuple[str, tuple[FieldChange, ...]], ...] = ()
    reordered: bool = False
    """The same things in another order, where the order means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Hosts of a fleet that a new one would no longer treat as before; each sorted."""

    gone: tuple[str, ...]
    """Not in the new fleet."""
    unmanaged: tuple[str, ...]
    """Covered by no profile any more, or only simulated from now on: nobody patches them."""
    moved: tuple[str, ...]
    """Another company's from now on: its people, windows and rules."""
    uncritical: tuple[str, ...]
    """Changed without a signed approval from now on."""

    @property
    def leaving(self) -> tuple[str, ...]:
        """Return those that nobody, or other people, would answer for, each once, sorted."""
        return tuple(sorted({*self.gone, *self.unmanaged, *self.moved}))


def changes(old: Fleet, new: Fleet) -> tuple[SectionChange, ...]:
    """Return what differs, section by section; nothing when both mean the same."""
    found = (
        _section(item.name, getattr(old, item.name), getattr(new, item.name))
        for item in fields(Fleet)
        if item.name not in _NOT_COMPARED
    )
    return tuple(one for one in found if one is not None)


def losses(old: Fleet, new: Fleet) -> Losses:
    """Return which hosts would go, in full or out of somebody's care: a typo may do as much."""
    after = {host.name: host for host in new.hosts}
    stay = [(host, after[host.name]) for host in old.hosts if host.name in after]
    return Losses(
        gone=_names(host for host in old.hosts if host.name not in after),
        unmanaged=_names(was for was, is_ in stay if _is_patched(was) and not _is_patched(is_)),
        moved=_names(was for was, is_ in stay if was.tenant != is_.tenant),
        uncritical=_names(was for was, is_ in stay if was.critical and not is_.critical),
    )


def is_mass_removal(old: Fleet, leaving: int) -> bool:
    """Say whether so many hosts go at once that their number must be named."""
    return leaving > FREE_REMOVALS or leaving * 100 > FREE_SHARE * len(old.hosts)


def _is_patched(host: Host) -> bool:
    return bool(host.profile) and not host.simulated


def _names(hosts: Iterable[Host]) -> tuple[str, ...]:
    return tuple(sorted(host.name for host in hosts))


def _section(name: str, old: object, new: object) -> SectionChange | None:
    if old == new:
        return None
    if not (_is_named(old) and _is_named(new)):
        return SectionChange(section=name, changed=((name, _fields(old, new, name)),))
    before, after = _by_name(old), _by_name(new)
    both = [key for key in before if key in after]
    return SectionChange(
        section=name,
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(
            (key, _fields(before[key], after[key], name))
            for key in sorted(both)
            if before[key] != after[key]
        ),
        reordered=both != [key for key in after if key in before],
    )


def _is_named(value: object) -> bool:
    return isinstance(value, tuple) and all(_name_of(item) for item in value)


def _name_of(item: object) -> str:
    name = getattr(item, "name", "") or getattr(item, "id", "")
    return name if isinstance(name, str) else ""


def _by_name(things: Any) -> dict[str, object]:
    return {_name_of(thing): thing for thing in things}


def _fields(old: object, new: object, section: str) -> tuple[FieldChange, ...]:
    hide = section == "logins"
    before, after = dict(_leaves(old, "")), dict(_leaves(new, ""))
    return tuple(
        FieldChange(
            field=path,
            old=_HIDDEN if hide and path in _REFERENCES else _cut(before.get(path, "none")),
            new=_HIDDEN if hide and path in _REFERENCES else _cut(after.get(path, "none")),
        )
        for path in dict.fromkeys((*before, *after))
        if before.get(path) != after.get(path)
    )


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield each single value with its path; lists of named things are told apart by name."""
    dot = "." if path else ""
    if (
        is_dataclass(value)
        and not isinstance(value, type)
        and type(value).__str__ is object.__str__
    ):
        for item in fields(value):
            yield from _leaves(getattr(value, item.name), f"{path}{dot}{item.name}")
    elif isinstance(value, Mapping):
        for key in value:
            yield from _leaves(value[key], f"{path}{dot}{key}")
    elif isinstance(value, tuple) and value and _is_named(value):
        yield path, ", ".join(map(_name_of, value))
        for thing in value:
            yield from _leaves(thing, f"{path}{dot}{_name_of(thing)}")
    else:
        yield path, _text(value)


def _text(value: object) -> str:
    if value is None or value in ("", (), frozenset()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%MZ}"
    if isinstance(value, tuple | frozenset):
        items = value if isinstance(value, tuple) else sorted(value)
        return ", ".join(map(_text, items))
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
