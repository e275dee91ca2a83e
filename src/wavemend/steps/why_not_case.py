"""One host with everything that decides about it: its rollout, its plan, its company, others."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from wavemend.calendar.windows import Occurrence, occurrence_at
from wavemend.execution.hands import Hands
from wavemend.fleet import Fleet, RolloutKey, Tenant
from wavemend.fleet_limits import FleetLimits, HostLimits
from wavemend.hosts import Host
from wavemend.ledger import rollouts
from wavemend.ledger.tables import RolloutRow
from wavemend.plans import Plan, PlannedHost, PlannedWave
from wavemend.rollout import RolloutView

JOINED_LATER = "it joined after the plan was made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One host, with its rollout if there is one, and a plan that it is or would be in."""

    book: Session
    hands: Hands
    fleet: Fleet
    host: Host
    tenant: Tenant
    now: datetime
    opening: Occurrence | None
    row: RolloutRow | None
    plan: Plan
    """The frozen one; one of this host alone where none is, or where it leaves the host out."""
    view: RolloutView
    limits: HostLimits
    excluded: str | None
    """Why a frozen plan leaves the host out; None: it does not, or there is none."""

    @property
    def is_planned(self) -> bool:
        """True when a frozen plan has the host."""
        return bool(self.row and self.row.plan_digest) and self.excluded is None

    @property
    def origin(self) -> str:
        """The rollout, for people."""
        return f"rollout {self.row.id}" if self.row else "no rollout yet"


def case_of(book: Session, hands: Hands, fleet: Fleet, host: Host, now: datetime) -> Case:
    """Return what is known of a host at a moment (UTC), from the ledger of this session."""
    key = RolloutKey(tenant=host.tenant, profile=host.profile, window=host.window)
    opening = occurrence_at(fleet.window(host.window), now)
    row = rollouts.unfinished_of(book, key)
    if row is None and opening is not None:
        row = rollouts.of_opening(book, key, opening)
    if row is not None:
        opening = Occurrence(
            window=row.window, start=row.window_start, end=row.window_end, last_start=row.last_start
        )
    frozen = rollouts.read_plan(book, row.id) if row is not None else None
    excluded = _left_out(frozen, host.name) if frozen is not None else None
    plan = frozen if frozen is not None and excluded is None else _alone(host, opening, now)
    return Case(
        book=book,
        hands=hands,
        fleet=fleet,
        host=host,
        tenant=fleet.tenant(host.tenant),
        now=now,
        opening=opening,
        row=row,
        plan=plan,
        view=rollouts.read_view(book, row.id) if row is not None else RolloutView(),
        limits=FleetLimits(fleet).of(host.name),
        excluded=excluded,
    )


def _left_out(plan: Plan, host: str) -> str | None:
    """Say why a plan leaves a host out; None: it does not."""
    if any(item.name == host for item in plan.hosts):
        return None
    left = {item.name: f"{item.outcome}: {item.reason}" for item in plan.excluded}
    return left.get(host, JOINED_LATER)


def _alone(host: Host, opening: Occurrence | None, now: datetime) -> Plan:
    """Return a plan of one host, to ask about before a real one is frozen."""
    wave = PlannedWave(
        number=1,
        name="its wave",
        kind="broad",
        hosts=(host.name,),
        concurrency=1,
        max_errors=0,
        min_success_percent=100,
        min_observed=1,
        soak_seconds=0,
        gap_seconds=0,
    )
    planned = PlannedHost(
        name=host.name,
        address=host.address,
        critical=host.critical,
        exposed=host.exposed,
        simulated=host.simulated,
        machine_id="",
        host_key="",
        packages=(),
    )
    return Plan(
        rollout="",
        tenant=host.tenant,
        profile=host.profile,
        window=host.window,
        window_start=opening.start if opening else now,
        window_end=opening.end if opening else now,
        last_start=opening.last_start if opening else now,
        created_at=now,
        requester="",
        nonce="",
        fleet_digest="",
        feeds=(),
        hosts=(planned,),
        waves=(wave,),
        excluded=(),
    )
