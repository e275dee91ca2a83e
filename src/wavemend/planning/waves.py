"""In which order the hosts of a plan change: waves, restarts apart, dependencies. Pure.

A wave whose hosts partly restart is two: first those that do not. A dependency has the last word
over both: what it puts later gets a wave of its own, right behind what it waits for.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from wavemend.errors import PlanError
from wavemend.hosts import Host
from wavemend.plans import PlannedHost, PlannedWave
from wavemend.policy.limits import Dependency
from wavemend.policy.profiles import Profile, RebootRule, WaveKind, WaveRule, place
from wavemend.policy.settings import Importance
from wavemend.scoring import Lane

_FAST = {Lane.EMERGENCY.value: 0, Lane.EXPEDITED.value: 1}
"""What is exploited goes first, however much depends on its host."""

_ORDER = {importance: rank for rank, importance in enumerate(Importance)}
"""What matters less goes first."""

_Place = tuple[int, int]
"""Where in the order: the number of a part, and how many steps behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One planned host, with what decides its place."""

    host: Host
    planned: PlannedHost
    restarts: bool
    urgency: tuple[float, ...] = ()
    importance: Importance = Importance.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The waves of a plan, and the hosts as they are planned in them."""

    waves: tuple[PlannedWave, ...]
    hosts: tuple[PlannedHost, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What becomes a wave: hosts under one rule, all of which restart, or none, or both."""

    rule: WaveRule
    name: str
    members: tuple[Member, ...]


def lay_out(
    profile: Profile,
    members: Sequence[Member],
    dependencies: Sequence[Dependency] = (),
    least_gap: timedelta = timedelta(0),
    elsewhere: frozenset[str] = frozenset(),
) -> Layout:
    """Return the waves that have hosts, and the hosts: one whose group does not restart never does.

    `least_gap`: the company's, between any two waves. `elsewhere`: dependencies whose first hosts
    are in other rollouts: what follows them goes last, lest a group that waits for another one
    keeps that one back. Raises PlanError when dependencies go round in a circle, which no loaded
    fleet's do.
    """
    # Where restarts have a window of their own nobody restarts here: there is nothing to part.
    apart = profile.separate_reboots and not profile.reboots.window
    parts = _parts(profile, members, apart=apart)
    settled: set[str] = set()
    if apart:
        settled = {
            member.host.name
            for part in parts
            if part.rule.kind is not WaveKind.PILOT
            for member in part.members
            if not member.restarts
        }
    ordered = _after_others(parts, dependencies, elsewhere)
    waves = tuple(
        _wave(number, part, least_gap, apart=apart)
        for number, part in enumerate((part for part in ordered if part.members), start=1)
    )
    hosts = (
        replace(member.planned, reboot=RebootRule.NEVER.value)
        if member.host.name in settled
        else member.planned
        for member in members
    )
    return Layout(waves=waves, hosts=tuple(sorted(hosts, key=lambda host: host.name)))


def _parts(profile: Profile, members: Sequence[Member], *, apart: bool) -> list[_Part]:
    """Return what the profile's waves take; a pilot stays whole, so that its gate counts all."""
    by_name = {member.host.name: member for member in members}
    parts: list[_Part] = []
    for placement in place(profile, tuple(member.host for member in members)):
        rule, taken = placement.wave, tuple(by_name[host.name] for host in placement.hosts)
        up = tuple(member for member in taken if not member.restarts)
        if apart and rule.kind is not WaveKind.PILOT and 0 < len(up) < len(taken):
            down = tuple(member for member in taken if member.restarts)
            # Half of a wave cannot show what the whole was to show, but all of it is looked at.
            gate = rule.gate
            for name, half in ((rule.name, up), (f"{rule.name}-reboot", down)):
                least = replace(gate, min_observed=min(gate.min_observed, len(half)))
                parts.append(_Part(rule=replace(rule, gate=least), name=name, members=half))
        else:
            parts.append(_Part(rule=rule, name=rule.name, members=taken))
    return parts


def _after_others(
    parts: list[_Part], dependencies: Sequence[Dependency], elsewhere: frozenset[str]
) -> list[_Part]:
    """Return the parts with each host behind all that it waits for."""
    homes = {member.host.name: at for at, part in enumerate(parts) for member in part.members}
    places: dict[str, _Place] = {name: (at, 0) for name, at in homes.items()}
    behind = _put_behind(parts, places, dependencies, elsewhere)
    if not behind:
        return parts
    groups: dict[tuple[_Place, int], list[Member]] = defaultdict(list)
    for part in parts:
        for member in part.members:
            groups[places[member.host.name], homes[member.host.name]].append(member)
    made: list[_Part] = []
    for (where, home), group in sorted(groups.items(), key=lambda item: item[0]):
        names = sorted({behind[m.host.name] for m in group if m.host.name in behind})
        name = parts[home].name + (f"-after-{'-'.join(names)}" if where != (home, 0) else "")
        made.append(replace(parts[home], name=_free(name, made), members=tuple(group)))
    return made


def _put_behind(
    parts: list[_Part],
    places: dict[str, _Place],
    dependencies: Sequence[Dependency],
    elsewhere: frozenset[str],
) -> Mapping[str, str]:
    """Move places until every `then` is behind its `first`; return what moved, and by which."""
    hosts = [member.host for part in parts for member in part.members]
    pairs = []
    for rule in dependencies:
        first = frozenset(host.name for host in hosts if rule.first.matches(host.labels))
        then = [host.name for host in hosts if rule.then.matches(host.labels)]
        pairs.append((rule.name, first, [name for name in then if name not in first]))
    behind: dict[str, str] = {}
    end: _Place = (len(parts) - 1, 0)
    for _ in range(len(pairs) + 1):
        moved = False
        for name, first, then in pairs:
            known = [places[each] for each in first] + [end] * (name in elsewhere)
            last = max(known, default=None)
            for each in then:
                if last is not None and places[each] <= last:
                    places[each], behind[each], moved = (last[0], last[1] + 1), name, True
        if not moved:
            return behind
    raise PlanError(
        f"dependencies wait for each other: {', '.join(sorted(name for name, _, _ in pairs))}",
        hint="`wavemend fleet check` names the circle",
    )


def _free(name: str, made: Sequence[_Part]) -> str:
    """Return a name that no earlier part has: steps in the ledger are called after them."""
    taken = {part.name for part in made}
    numbered = (f"{name}-{number}" for number in range(2, len(made) + 3))
    return next(each for each in (name, *numbered) if each not in taken)


def _wave(number: int, part: _Part, least_gap: timedelta, *, apart: bool) -> PlannedWave:
    rule = part.rule
    ordered = sorted(part.members, key=lambda member: _turn(member, apart=apart))
    return PlannedWave(
        number=number,
        name=part.name,
        kind=rule.kind,
        hosts=tuple(member.host.name for member in ordered),
        concurrency=rule.concurrency,
        max_errors=rule.gate.max_errors,
        min_success_percent=rule.gate.min_success_percent,
        min_observed=rule.gate.min_observed,
        soak_seconds=int(rule.gate.soak.total_seconds()),
        gap_seconds=int(max(rule.gap, least_gap).total_seconds()),
    )


def _turn(member: Member, *, apart: bool) -> tuple[object, ...]:
    lanes = (_FAST.get(package.lane, len(_FAST)) for package in member.planned.packages)
    return (
        min(lanes, default=len(_FAST)),
        apart and member.restarts,
        _ORDER[member.importance],
        member.urgency,
        member.host.name,
    )
