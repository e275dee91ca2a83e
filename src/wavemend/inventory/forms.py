"""The entries of a fleet file that can be read, and where each of them is written.

Entries are read one by one, so that a fault in one does not hide what is wrong with the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from wavemend.inventory.calendar_schema import (
    CalendarForm,
    FreezeForm,
    RosterForm,
    WindowForm,
)
from wavemend.inventory.fleet_schema import (
    ApproverForm,
    FeedsForm,
    FleetFile,
    GroupForm,
    HostForm,
    ManagerForm,
    TenantForm,
    WaiverForm,
)
from wavemend.inventory.form import Form
from wavemend.inventory.login_schema import LoginForm
from wavemend.inventory.policy_schema import BudgetForm, DependencyForm, PolicyForm, SourceForm
from wavemend.inventory.problems import Place, Problem, shown, suggestion
from wavemend.inventory.profile_schema import ProfileForm
from wavemend.inventory.schema_errors import place_of, sentence
from wavemend.inventory.yaml_source import Source

F = TypeVar("F", bound=Form)

SECTIONS = (
    "tenants",
    "approvers",
    "windows",
    "profiles",
    "managers",
    "logins",
    "hosts",
    "groups",
    "waivers",
    "sources",
    "policies",
    "budgets",
    "dependencies",
    "calendars",
    "freezes",
    "rosters",
)


_SINGULAR = {"policies": "policy", "dependencies": "dependency"}


@dataclass(frozen=True, slots=True)
class Forms:
    """Readable entries by their position; `names` and `known` hold those of unreadable ones too."""

    source: Source
    names: Mapping[str, tuple[tuple[int, str], ...]]
    known: Mapping[str, frozenset[str]]
    tenants: Mapping[int, TenantForm]
    approvers: Mapping[int, ApproverForm]
    windows: Mapping[int, WindowForm]
    profiles: Mapping[int, ProfileForm]
    managers: Mapping[int, ManagerForm]
    logins: Mapping[int, LoginForm]
    hosts: Mapping[int, HostForm]
    groups: Mapping[int, GroupForm]
    waivers: Mapping[int, WaiverForm]
    sources: Mapping[int, SourceForm]
    policies: Mapping[int, PolicyForm]
    budgets: Mapping[int, BudgetForm]
    dependencies: Mapping[int, DependencyForm]
    calendars: Mapping[int, CalendarForm]
    freezes: Mapping[int, FreezeForm]
    rosters: Mapping[int, RosterForm]
    feeds: FeedsForm
    all_hosts_read: bool
    """False: some hosts are missing here, so nothing can be said about empty selections."""

    def problem(self, place: Place, what: str) -> Problem:
        """Return a problem at the line where that place is written."""
        return self.source.problem(place, what)

    def unknown(self, place: Place, section: str, name: str) -> Iterator[Problem]:
        """Yield a problem when no entry of that name is declared, readable or not."""
        if name and name not in self.known[section]:
            way_out = suggestion(name, self.known[section])
            what = f"no {_SINGULAR.get(section, section[:-1])} is called {shown(name)}; {way_out}"
            yield self.problem(place, what)


def read_forms(source: Source) -> tuple[Forms, list[Problem]]:
    """Read every entry that can be read, and say what is wrong with the others."""
    problems: list[Problem] = []
    broken: set[Place] = set()
    try:
        FleetFile.model_validate(source.data)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = place_of(fault)
            broken.add(place[:2])
            # A missing key is written nowhere: its line is the entry's.
            problems.append(source.problem(place, sentence(fault)))

    def entries(section: str, form: type[F]) -> dict[int, F]:
        items = _items(source, section)
        readable = ((n, item) for n, item in enumerate(items) if (section, n) not in broken)
        return {n: form.model_validate(item) for n, item in readable}

    names = {section: _names(source, section) for section in SECTIONS}
    hosts = entries("hosts", HostForm)
    feeds_broken = any(place[:1] == ("feeds",) for place in broken)
    forms = Forms(
        source=source,
        names=names,
        known={section: frozenset(name for _, name in names[section]) for section in SECTIONS},
        tenants=entries("tenants", TenantForm),
        approvers=entries("approvers", ApproverForm),
        windows=entries("windows", WindowForm),
        profiles=entries("profiles", ProfileForm),
        managers=entries("managers", ManagerForm),
        logins=entries("logins", LoginForm),
        hosts=hosts,
        groups=entries("groups", GroupForm),
        waivers=entries("waivers", WaiverForm),
        sources=entries("sources", SourceForm),
        policies=entries("policies", PolicyForm),
        budgets=entries("budgets", BudgetForm),
        dependencies=entries("dependencies", DependencyForm),
        calendars=entries("calendars", CalendarForm),
        freezes=entries("freezes", FreezeForm),
        rosters=entries("rosters", RosterForm),
        feeds=FeedsForm() if feeds_broken else FeedsForm(**source.data.get("feeds", {})),
        all_hosts_read=source.complete and len(hosts) == len(_items(source, "hosts")),
    )
    return forms, problems


def _items(source: Source, section: str) -> list[Any]:
    items = source.data.get(section)
    return items if isinstance(items, list) else []


def _names(source: Source, section: str) -> tuple[tuple[int, str], ...]:
    return tuple(
        (n, item["name"])
        for n, item in enumerate(_items(source, section))
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    )
