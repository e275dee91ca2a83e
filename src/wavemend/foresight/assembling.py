"""Make the question from a fleet, its calendars, and what the ledger knows of its hosts. Pure.

Left out, and said: hosts that nobody has looked at, unmanaged ones, and those with nothing to do.
What is already overdue counts as due at the end of the time that is looked at, and is said too:
no plan can meet a date that has passed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from wavemend.calendar.almanac import Almanac, NightOverride
from wavemend.calendar.declared import TenantCalendar
from wavemend.calendar.estimates import ChangeKind, Durations, SizeClass
from wavemend.calendar.freezes import freeze_within
from wavemend.calendar.openings import openings_between
from wavemend.calendar.preview import first_start
from wavemend.calendar.windows import Occurrence
from wavemend.fleet import Fleet, RolloutKey
from wavemend.fleet_limits import FleetLimits
from wavemend.foresight.problem import Night, Problem, Rule, RuleKind, Task, Wave
from wavemend.hosts import Host
from wavemend.ledger.demand import Demand
from wavemend.policy.profiles import Profile, RebootRule, WaveRule, place


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """The question, and whom it is not about."""

    problem: Problem
    overdue: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    """Hosts that were never judged: nobody knows what they need by when."""
    unmanaged: tuple[str, ...] = ()
    without_due: tuple[str, ...] = ()
    """Hosts that need nothing, or nothing by a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything beside the fleet that the question depends on."""

    almanac: Almanac
    demand: Mapping[str, Demand]
    durations: Durations
    overrides: Mapping[str, Sequence[NightOverride]]
    """By company."""
    systems: Mapping[str, str]
    """Operating system of each host as estimates name it, `debian 12`."""


def assemble(
    fleet: Fleet, known: Known, first: datetime, until: datetime, *, tenant: str = ""
) -> Assembled:
    """Return the question for the openings that start in a time (UTC-aware).

    `tenant`: only this company; empty: all of them.
    """
    keys = [key for key in fleet.rollouts() if tenant in {"", key.tenant}]
    nights: list[Night] = []
    tasks: list[Task] = []
    waves: dict[str, tuple[Wave, ...]] = {}
    sets = FleetLimits(fleet).sets
    sets_of: dict[str, list[str]] = defaultdict(list)
    for found in sets:
        for name in found.hosts:
            sets_of[name].append(found.name)
    for key in keys:
        members = fleet.members(key)
        profile = fleet.profile(key.profile)
        waves[str(key)] = tuple(_wave(rule) for rule in profile.waves)
        made = [
            _task(known, key, placement.wave.name, host, profile)
            for placement in place(profile, members)
            for host in placement.hosts
            if _has_due(known, host.name)
        ]
        tasks += [
            replace(
                task,
                due=until if task.due and task.due <= first else task.due,
                budgets=tuple(sorted(sets_of[task.hosts[0]])),
            )
            for task in made
        ]
        shortest = min((task.minutes for task in made), default=1)
        nights += _nights(fleet, known, key, (first, until), shortest)
    problem = Problem(
        nights=tuple(nights),
        waves=waves,
        tasks=tuple(tasks),
        gaps={
            company.name: _minutes(company.gap)
            for company in fleet.tenants
            if company.gap is not None
        },
        budgets={found.name: found.most_out for found in sets},
        tenants={str(key): key.tenant for key in keys},
    )
    mine = [host for host in fleet.hosts if tenant in {"", host.tenant}]
    managed = [host.name for host in mine if host.profile]
    return Assembled(
        problem=problem,
        overdue=tuple(name for name in managed if _is_overdue(known, name, first)),
        unseen=tuple(name for name in managed if name not in known.demand),
        unmanaged=tuple(host.name for host in mine if not host.profile),
        without_due=tuple(
            name for name in managed if name in known.demand and not _has_due(known, name)
        ),
    )


def _has_due(known: Known, name: str) -> bool:
    return name in known.demand and known.demand[name].due is not None


def _is_overdue(known: Known, name: str, first: datetime) -> bool:
    due = known.demand[name].due if name in known.demand else None
    return due is not None and due <= first


def _wave(rule: WaveRule) -> Wave:
    # Soak comes before the gate, and the gap counts from the same end: the longer one is felt.
    pause = max(rule.gate.soak, rule.gap)
    return Wave(name=rule.name, concurrency=rule.concurrency, pause=_minutes(pause))


def _task(known: Known, key: RolloutKey, wave: str, host: Host, profile: Profile) -> Task:
    kind = ChangeKind(
        system=known.systems.get(host.name, ""),
        # What will be pending then is not known yet: a month of security updates.
        size=SizeClass.SOME,
        reboot=profile.reboot is not RebootRule.NEVER,
    )
    found = known.durations.of(kind, at_most=profile.host_deadline)
    return Task(
        name=f"{key} {wave}",
        key=str(key),
        wave=wave,
        hosts=(host.name,),
        minutes=max(1, -(-found.p95 // 60)),
        due=known.demand[host.name].due,
    )


def _nights(
    fleet: Fleet, known: Known, key: RolloutKey, span: tuple[datetime, datetime], shortest: int
) -> list[Night]:
    window, rules = fleet.window(key.window), fleet.calendar_of(key.tenant)
    return [
        Night(
            key=str(key),
            tenant=key.tenant,
            window=key.window,
            start=opening.start,
            # From the cut-off on nothing starts, so what is started before it is the last.
            end=min(opening.end, opening.last_start + timedelta(minutes=shortest)),
            closed_by=_closed_by(rules, known, opening),
        )
        for opening in openings_between(window, *span)
    ]


def _closed_by(rules: TenantCalendar, known: Known, opening: Occurrence) -> tuple[Rule, ...]:
    """Return the rules that take an opening or a part of it, each asked as if it were alone.

    An opening that a freeze cuts short counts as closed: what is called feasible must be.
    """
    overrides = known.overrides.get(rules.tenant, ())
    closed = [
        Rule(kind=RuleKind.FREEZE, name=freeze.name)
        for freeze in rules.freezes
        if freeze_within(
            replace(rules, freezes=(freeze,)), known.almanac, opening.start, opening.last_start
        )
    ]
    only = replace(rules, freezes=())
    if (
        rules.duty is not None
        and first_start(opening, only, known.almanac, opening.start, overrides=overrides) is None
    ):
        closed.append(Rule(kind=RuleKind.DUTY, name=rules.tenant))
    return tuple(closed)


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds()) // 60
