"""How long a whole fleet's planning takes, whether it grows in line, and whether it is a function.

From ranked updates to digests: what policies say of each host, which budgets and orders hold, the
packages of each host, waves, restarts apart, dependencies, estimates, one digest per rollout.
Matching and ranking come before and are measured in `matching.py` and `scoring.py`.

    PYTHONPATH=.:src python -m tests.bench.planning
"""

import gc
import hashlib
import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cases.rollouts.build import OCCASION, PROFILE, candidate, facts, ranked, update
from wavemend.fleet import Fleet, Group, RolloutKey, Scope
from wavemend.fleet_limits import FleetLimits
from wavemend.hosts import Host
from wavemend.inventory.fleet_file import load_fleet
from wavemend.planning import Candidate, make_plan
from wavemend.policy.limits import Budget, Dependency
from wavemend.policy.profiles import GateRule, Size, WaveKind, WaveRule
from wavemend.policy.resolving import resolver_of
from wavemend.policy.settings import Importance, Level, Policy
from wavemend.selectors import parse_selector

HOSTS = (25_000, 50_000, 100_000)
GROUPS = 500
COMPANIES = 100
UPDATES = 5
MOST_SECONDS = 20.0
"""What 100,000 hosts may take, in one process."""
SEED = 7

_RIGHT = Path(__file__).parents[1] / "cases/fleet/right.yaml"
_NAMES = ("linux-image-6.1.0-40-amd64", "jq", "nginx", "libssl3", "vim", "curl", "tar", "less")
_UPDATES = tuple(
    ranked(replace(update(name), candidate=f"2.{n}"), order=float(n))
    for n, name in enumerate(_NAMES)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One run over a fleet."""

    seconds: float
    rollouts: int
    digest: str
    """Of all plans' digests, in the order of their rollouts."""


def main(say: Callable[[str], None] = print) -> bool:
    """Measure and print the figures; False: too slow, or not the same twice."""
    found: list[Planned] = []
    for count in HOSTS:
        fleet, candidates = made_fleet(count)
        each = planned(fleet, candidates)
        found.append(each)
        say(
            f"planning {count:7,} hosts in {GROUPS} groups, {each.rollouts} rollouts: "
            f"{each.seconds:5.1f} s, {1e6 * each.seconds / count:4.0f} µs a host"
        )
    fleet, candidates = made_fleet(HOSTS[0])
    again = planned(fleet, dict(sorted(candidates.items(), key=lambda item: item[0], reverse=True)))
    same = again.digest == found[0].digest
    line = found[-1].seconds / found[0].seconds / (HOSTS[-1] / HOSTS[0])
    say(f"the same digests, hosts in reverse order: {'yes' if same else 'NO'}")
    say(f"{HOSTS[-1]:,} hosts against {HOSTS[0]:,}: {line:.2f} times in line")
    return same and found[-1].seconds <= MOST_SECONDS


def planned(fleet: Fleet, candidates: dict[str, Candidate]) -> Planned:
    """Plan every rollout of a fleet, and time it."""
    gc.collect()
    gc.freeze()
    began = time.process_time()
    resolver, limits = resolver_of(fleet), FleetLimits(fleet)
    members: dict[RolloutKey, list[Candidate]] = defaultdict(list)
    for name, each in candidates.items():
        host = each.host
        key = RolloutKey(tenant=host.tenant, profile=host.profile, window=host.window)
        settings = resolver.settings(host, fleet.profile(host.profile))
        limits.of(name)
        members[key].append(replace(each, settings=settings))
    digests = [
        make_plan(
            replace(
                OCCASION,
                rollout=f"r-{number}",
                tenant=key.tenant,
                dependencies=fleet.dependencies_of(key.tenant),
            ),
            fleet.profile(key.profile),
            members[key],
            (),
        ).digest
        for number, key in enumerate(sorted(members))
    ]
    seconds = time.process_time() - began
    gc.unfreeze()
    whole = hashlib.sha256("".join(digests).encode()).hexdigest()
    return Planned(seconds=seconds, rollouts=len(digests), digest=whole)


def made_fleet(count: int) -> tuple[Fleet, dict[str, Candidate]]:
    """Return a fleet of so many hosts, and what was seen of each."""
    dice = random.Random(SEED)
    hosts = [_host(number, dice) for number in range(count)]
    base = load_fleet(_RIGHT)
    profiles = tuple(
        replace(PROFILE, name=name, waves=_waves()) for name in ("appliance", "linux", "web")
    )
    groups = tuple(
        Group(name=f"g{n:03}", scope=Scope.CUSTOM, select=parse_selector(f"cell=c{n:03}"))
        for n in range(GROUPS)
    )
    fleet = replace(
        base,
        tenants=tuple(replace(base.tenants[0], name=f"t{n:03}") for n in range(COMPANIES)),
        profiles=profiles,
        hosts=tuple(hosts),
        groups=groups,
        policies=tuple(
            Policy(name=f"p{n}", level=Level.CUSTOM, group=group.name, importance=importance)
            for n, group in enumerate(groups)
            for importance in (list(Importance)[n % 3],)
        ),
        budgets=tuple(
            Budget(name=f"b{n}", group=group.name, most_out=Size(value=10, percent=True))
            for n, group in enumerate(groups)
        ),
        dependencies=(
            Dependency(
                name="db-first", first=parse_selector("role=db"), then=parse_selector("role=app")
            ),
        ),
    )
    seen = facts("any")
    return fleet, {host.name: _candidate(host, seen, dice) for host in hosts}


def _waves() -> tuple[WaveRule, ...]:
    gate = GateRule(max_errors=5, min_success_percent=90)
    pilot = WaveRule(name="pilot", kind=WaveKind.PILOT, size=Size(value=5, percent=True), gate=gate)
    broad = WaveRule(name="broad", kind=WaveKind.BROAD, concurrency=20, gate=gate)
    return (pilot, broad, PROFILE.waves[-1])


def _host(number: int, dice: random.Random) -> Host:
    return Host(
        name=f"h{number:06}",
        tenant=f"t{number % COMPANIES:03}",
        address="192.0.2.1",
        profile=dice.choice(("appliance", "linux", "web")),
        window="night",
        critical=dice.random() < 0.02,
        labels={
            "cell": f"c{number % GROUPS:03}",
            "role": dice.choice(("app", "db", "web", "batch")),
            "os": "debian",
        },
    )


def _candidate(host: Host, seen: object, dice: random.Random) -> Candidate:
    updates = sorted(dice.sample(_UPDATES, UPDATES), key=lambda each: each.priority.order)
    made = candidate(host.name, *updates, facts_of=seen)  # type: ignore[arg-type]
    return replace(made, host=host)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
