"""What a new fleet changes in the one in force: added, removed, and field by field. Pure.

References to secrets are compared and never shown: a `command:` may hold a token.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from wavemend.calendar.durations import format_duration
from wavemend.fleet import Fleet

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


def changes(old: Fleet, new: Fleet) -> tuple[SectionChange, ...]:
    """Return what differs, section by section; nothing when both mean the same."""
    found = (
        _section(item.name, getattr(old, item.name), getattr(new, item.name))
        for item in fields(Fleet)
        if item.name not in _NOT_COMPARED
    )
    return tuple(one for one in found if one is not None)


def removed_hosts(old: Fleet, new: Fleet) -> tuple[str, ...]:
    """Return the hosts that would no longer be watched and patched, sorted."""
    return tuple(sorted({host.name for host in old.hosts} - {host.name for host in new.hosts}))


def is_mass_removal(old: Fleet, removed: int) -> bool:
    """Say whether so many hosts go at once that their number must be named."""
    return removed > FREE_REMOVALS or removed * 100 > FREE_SHARE * len(old.hosts)


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
