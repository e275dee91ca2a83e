"""Hosts of other files beside those of the fleet file, before anything is checked.

What comes in is written into the document as an operator would have written it, so that every
check sees it; each place keeps where it really stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wavemend.inventory.policy_schema import SourceForm
from wavemend.inventory.problems import Place, Problem, shown
from wavemend.inventory.sources import READERS
from wavemend.inventory.sources.found import Fault, Found, FoundHost
from wavemend.inventory.yaml_source import Source

NAMED = 20
"""Machines left out that are named; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNote:
    """What a source gave, and what it holds that did not become part of the fleet."""

    name: str
    hosts: int
    groups: int
    left_out: tuple[str, ...]
    """Machines and files that were left out, each with its place and the reason."""
    ignored: tuple[tuple[str, int], ...]


def merged(source: Source, folder: Path) -> tuple[Source, tuple[SourceNote, ...]]:
    """Return the document with the hosts and groups of its sources, and what there is to tell."""
    items = source.data.get("sources")
    hosts, groups = source.data.get("hosts", []), source.data.get("groups", [])
    if not (isinstance(items, list) and isinstance(hosts, list) and isinstance(groups, list)):
        return source, ()
    data = {**source.data, "hosts": [*hosts], "groups": [*groups]}
    building = _Building(source, data)
    notes = []
    for number, item in enumerate(items):
        try:
            form = SourceForm.model_validate(item)
        except ValidationError:
            continue  # said by whoever reads the forms
        found = READERS[form.kind]()(folder / form.file, form.file)
        building.take(number, form, found)
        notes.append(_note(form, found))
    whole = replace(
        source,
        data=data if data["groups"] or "groups" in source.data else _without(data, "groups"),
        origins=building.origins,
        problems=(*source.problems, *building.problems),
        complete=not building.problems,
    )
    return whole, tuple(notes)


def _without(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


def _note(form: SourceForm, found: Found) -> SourceNote:
    return SourceNote(
        name=form.name,
        hosts=len(found.hosts),
        groups=len(found.groups),
        left_out=tuple(f"{fault.spot}: {fault.what}" for fault in found.left_out),
        ignored=found.ignored,
    )


class _Building:
    def __init__(self, source: Source, data: dict[str, Any]) -> None:
        self._source, self._data = source, data
        self.origins: dict[Place, str] = {}
        self.problems: list[Problem] = []
        self._logins: dict[str, list[str]] = {}
        logins = data.get("logins")
        for login in logins if isinstance(logins, list) else ():
            if isinstance(login, dict) and isinstance(login.get("name"), str):
                self._logins.setdefault(str(login.get("user")), []).append(login["name"])

    def take(self, number: int, form: SourceForm, found: Found) -> None:
        """Add what a source holds; with faults too, so that all of them are said at once."""
        place: Place = ("sources", number, "file")
        self.problems += [self._problem(fault) for fault in found.faults]
        if not found.hosts and not found.faults:
            what = f"{form.file} holds no host, and empty is not everything; take the source out"
            self.problems.append(Problem(self._source.line(place), place, what))
        for host in found.hosts:
            self._add("hosts", host.spot, self._entry(form, host), host.spots)
        tenants = {host.name: host.values.get("tenant", form.tenant) for host in found.hosts}
        for group in found.groups:
            whose = {tenants[name] for name in group.hosts}
            entry = {
                "name": f"{form.name}.{group.name}",
                "scope": "custom",
                "hosts": list(group.hosts),
                **({"tenant": whose.pop()} if len(whose) == 1 and "" not in whose else {}),
            }
            self._add("groups", group.spot, entry, {})

    def _add(
        self,
        section: str,
        spot: str,
        entry: Mapping[str, object],
        spots: Mapping[tuple[str, ...], str],
    ) -> None:
        place: Place = (section, len(self._data[section]))
        self._data[section].append(entry)
        self.origins[place] = spot
        self.origins.update({(*place, *tail): at for tail, at in spots.items()})

    def _entry(self, form: SourceForm, host: FoundHost) -> dict[str, object]:
        own = host.values.get("labels", {})
        labels = {**form.labels, **(own if isinstance(own, dict) else {})}
        entry = {"name": host.name, **host.values}
        entry |= {"labels": labels} if labels else {}
        if form.tenant:
            entry.setdefault("tenant", form.tenant)
        if host.user and "login" not in entry:
            entry |= {"login": login} if (login := self._login(host)) else {}
        return entry

    def _login(self, host: FoundHost) -> str:
        """Return the login of an account; one that the fleet file does not have is a fault."""
        known = self._logins.get(host.user, [])
        if len(known) == 1:
            return known[0]
        said = ", ".join(known) or "none"
        what = (
            f"logs in as {shown(host.user)}, and one login of that user is needed ({said}); "
            "declare it under logins, or name the host's login"
        )
        spot = host.spots.get(("user",), host.spot)
        self.problems.append(self._problem(Fault(spot, what)))
        return ""

    @staticmethod
    def _problem(fault: Fault) -> Problem:
        return Problem(0, (), fault.what, origin=fault.spot)


def lines_of(notes: tuple[SourceNote, ...], *, verbose: bool) -> Iterator[str]:
    """Yield what there is to tell about sources: always who was left out, ignored words counted."""
    for note in notes:
        ignored = sum(number for _, number in note.ignored)
        yield (
            f"source {note.name}: {note.hosts} hosts, {note.groups} groups; "
            f"{len(note.left_out)} left out, {ignored} values mean nothing here"
        )
        named = note.left_out if verbose else note.left_out[:NAMED]
        yield from (f"  left out: {line}" for line in named)
        if len(named) < len(note.left_out):
            yield f"  and {len(note.left_out) - len(named)} more: `wavemend fleet check FILE -v`"
        if verbose:
            yield from (f"  means nothing here: {word} ({times})" for word, times in note.ignored)
