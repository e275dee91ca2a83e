"""What each deployment is to be: one per company, profile and window, and its looks ahead. Pure.

Prefect does not compute a window's openings, and must not: its daily recurrence rule runs an hour
early after a switch to summer time, and nothing of it knows "Patch Tuesday + 11". It is handed
every opening of the coming year as an instant, and `renew-schedules` hands it the next ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prefect.client.schemas.schedules import CronSchedule, RRuleSchedule

from wavemend.calendar.openings import LOOKS, instant, openings_between
from wavemend.calendar.windows import Window
from wavemend.fleet import Fleet, RolloutKey, RolloutKind

WINDOW_TAG = "wavemend-window"
"""Marks the deployments made from windows: those without a window any more are removed."""

STANDING_TAG = "wavemend-standing"
"""Marks the deployments of prefect.yaml, likewise."""

STARTS_TAG = "starts-rollouts"
"""Marks those of prefect.yaml whose runs start rollouts by themselves."""

MONTHS = 13
"""How many months are handed over, this one included: at least twelve lie ahead on any day."""

MOST_INSTANTS = 380
"""In one schedule: 17 characters each, and Prefect's server refuses a rule of more than 6,500."""

_FLOWS = {
    RolloutKind.PATCH: "flows/patch_rollout.py:patch_rollout",
    RolloutKind.RESTART: "flows/restart_hosts.py:restart_hosts",
    RolloutKind.REPAIR: "flows/repair_hosts.py:repair_hosts",
    RolloutKind.EMERGENCY: "flows/patch_emergency.py:patch_emergency",
}
_SUFFIXES = {"T-24h": "24h-before", "T-30m": "30min-before"}
"""By occasion of a look: how its deployment's name ends."""

Timetable = CronSchedule | RRuleSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One deployment as it is to be."""

    entrypoint: str
    name: str
    parameters: Mapping[str, object]
    tags: tuple[str, ...]
    description: str
    schedules: Mapping[str, Timetable] = field(default_factory=dict)
    """By slug; none: started by hand only."""
    one_at_a_time: bool = True
    """A second run is cancelled: it would only wait for the first one's lease."""

    @property
    def title(self) -> str:
        """What Prefect calls it."""
        return f"{self.entrypoint.rpartition(':')[2].replace('_', '-')}/{self.name}"

    @property
    def begins_rollouts(self) -> bool:
        """Whether its schedules begin rollouts, or come with what does."""
        return WINDOW_TAG in self.tags or STARTS_TAG in self.tags


def window_forms(fleet: Fleet, site: str, now: datetime) -> Iterator[Form]:
    """Yield every deployment that the windows of a fleet ask for, in order."""
    for key in (*fleet.rollouts(), *fleet.restarts(), *fleet.repairs(), *fleet.emergencies()):
        yield from forms_of(fleet, key, site, now)


def deployment_name(key: RolloutKey) -> str:
    """Return the name of the deployment of one rollout key."""
    return f"{key.tenant}-{key.profile}-{key.window}"


def forms_of(fleet: Fleet, key: RolloutKey, site: str, now: datetime) -> Iterator[Form]:
    """Yield the deployment of a rollout key, and of the looks that come before it."""
    kind = RolloutKind(key.kind)
    by_hand = kind in {RolloutKind.REPAIR, RolloutKind.EMERGENCY}
    about = {"tenant": key.tenant, "profile": key.profile, "window": key.window, "site": site}
    tags = _tags(fleet, key)
    yield Form(
        entrypoint=_FLOWS[kind],
        name=deployment_name(key),
        parameters=about,
        schedules={} if by_hand else schedules_of(fleet.window(key.window), now),
        tags=tags,
        description=_description(fleet, key),
    )
    restarts = "-restarts" if kind is RolloutKind.RESTART else ""
    for occasion, ahead in () if by_hand else LOOKS.items():
        yield Form(
            entrypoint="flows/check_readiness.py:check_readiness",
            name=f"{deployment_name(key)}{restarts}-{_SUFFIXES[occasion]}",
            parameters={**about, "occasion": occasion, "kind": kind.value},
            schedules=schedules_of(fleet.window(key.window), now, ahead),
            tags=tags,
            description=f"Looks whether the hosts of {deployment_name(key)} are ready for their "
            "window. Changes nothing.",
        )


def schedules_of(
    window: Window, now: datetime, ahead: timedelta = timedelta(0)
) -> dict[str, Timetable]:
    """Return when Prefect starts runs, by slug: at each opening, or so long before it.

    Openings that a freeze or the duty rule forbids are among them: the run says so and writes the
    night down, and a signature that comes later still finds it.
    """
    first, until = horizon(now)
    starts = [opening.start - ahead for opening in openings_between(window, first, until)]
    parts = [starts[at : at + MOST_INSTANTS] for at in range(0, len(starts), MOST_INSTANTS)]
    return {
        window.name if number == 1 else f"{window.name}-{number}": _instants(part)
        for number, part in enumerate(parts, start=1)
    }


def horizon(now: datetime) -> tuple[datetime, datetime]:
    """Return the first of this month and of the month after the last one handed over (UTC).

    Whole months, so that a second run changes nothing until the next month begins.
    """
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    years, month = divmod(first.month - 1 + MONTHS, 12)
    return first, first.replace(year=first.year + years, month=month + 1)


def _instants(starts: Sequence[datetime]) -> RRuleSchedule:
    dates = ",".join(instant(start) for start in starts)
    return RRuleSchedule(rrule=f"RDATE:{dates}", timezone="UTC")


def _tags(fleet: Fleet, key: RolloutKey) -> tuple[str, ...]:
    """Return the tags of a deployment and its runs; the first one is what a list has room for."""
    played = any(host.simulated for host in fleet.members(key))
    return (f"tenant:{key.tenant}", *(["SIMULATED"] if played else []), WINDOW_TAG)


def _description(fleet: Fleet, key: RolloutKey) -> str:
    hosts = fleet.members(key)
    played = sum(host.simulated for host in hosts)
    told = f" **SIMULATED:** {played} of them are played, no machine is changed." if played else ""
    whose = f"hosts of **{fleet.tenant(key.tenant).title}** in the window {key.window}"
    if key.kind == RolloutKind.EMERGENCY:
        return (
            f"Patches what an exploited vulnerability touches of {len(hosts)} hosts of "
            f"**{fleet.tenant(key.tenant).title}**, outside their windows. Started by "
            f"`wavemend emergency`, or by plan-emergencies.{told}"
        )
    if key.kind == RolloutKind.REPAIR:
        return (
            f"Finishes what was left half done on {whose}, each after a signed approval. "
            f"Started by hand.{told}"
        )
    critical = [host.name for host in hosts if host.critical]
    waits = f" Waits for a signed approval before {', '.join(critical)}." if critical else ""
    does = "Restarts what waits for it of" if key.kind == RolloutKind.RESTART else "Patches"
    return f"{does} {len(hosts)} {whose}.{waits}{told}"
