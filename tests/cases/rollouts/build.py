"""Small plans, hosts and answers for tests of the core: short to write, whole in every field."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wavemend.hosts import Facts, FreeSpace, Host, PendingUpdate
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.planning import Candidate, Occasion
from wavemend.plans import ExcludedHost, FeedUsed, Plan, PlannedHost, PlannedPackage, PlannedWave
from wavemend.policy.profiles import (
    CRITICAL_WAVE,
    GateRule,
    Profile,
    RebootRule,
    Size,
    Updates,
    WaveKind,
    WaveRule,
)
from wavemend.rollout import AttemptState, AttemptView
from wavemend.scoring import Lane, Priority, RankedUpdate

START = datetime(2026, 3, 10, 22, tzinfo=UTC)
"""The window opens."""
LAST_START = START + timedelta(hours=3)
END = START + timedelta(hours=4)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
"""When the plan is made."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def package(name: str = "wm-fine", old: str = "1.0", new: str = "2.0") -> PlannedPackage:
    """Return one planned package."""
    return PlannedPackage(
        name=name, arch="all", installed=old, target=new, origin="lab", lane="routine"
    )


def planned(name: str, *, critical: bool = False) -> PlannedHost:
    """Return one planned host."""
    return PlannedHost(
        name=name,
        address=f"{name}.example:22",
        critical=critical,
        exposed=False,
        simulated=False,
        machine_id=f"id-{name}",
        host_key=KEY,
        packages=(package(),),
    )


def wave(
    number: int,
    *hosts: str,
    kind: str = "broad",
    concurrency: int = 2,
    max_errors: int = 0,
    min_success_percent: int = 100,
    min_observed: int = 1,
    soak: timedelta = timedelta(0),
    gap: timedelta = timedelta(0),
) -> PlannedWave:
    """Return one wave, named after its kind and number."""
    return PlannedWave(
        number=number,
        name=f"{kind}-{number}",
        kind=kind,
        hosts=hosts,
        concurrency=concurrency,
        max_errors=max_errors,
        min_success_percent=min_success_percent,
        min_observed=min_observed,
        soak_seconds=int(soak.total_seconds()),
        gap_seconds=int(gap.total_seconds()),
    )


PILOT = wave(1, "web1", "web2", kind="pilot")
BROAD = wave(2, "web3", "web4", "web5", max_errors=1, min_success_percent=50)
CRITICAL = wave(3, "db1", kind="critical", concurrency=1)


def plan_of(*waves: PlannedWave, rollout: str = "r-1", nonce: str = "0" * 32) -> Plan:
    """Return a plan of these waves; hosts of critical waves are critical."""
    hosts = [planned(name, critical=w.kind == "critical") for w in waves for name in w.hosts]
    return Plan(
        rollout=rollout,
        tenant="acme",
        profile="linux",
        window="night",
        window_start=START,
        window_end=END,
        last_start=LAST_START,
        created_at=NOON,
        requester="olga",
        nonce=nonce,
        fleet_digest="sha256:fleet",
        feeds=(FeedUsed(feed="kev", digest="d", data_date="", model="", stale=False),),
        hosts=tuple(sorted(hosts, key=lambda host: host.name)),
        waves=waves,
        excluded=(ExcludedHost(name="old1", outcome=Outcome.UNREACHABLE, reason="off"),),
    )


PLAN = plan_of(PILOT, BROAD, CRITICAL)


def ended(outcome: Outcome = Outcome.PATCHED, at: datetime = START) -> AttemptView:
    """Return an attempt that has its outcome."""
    return AttemptView(state=AttemptState.ENDED, outcome=outcome, ended_at=at)


def attempts(
    hosts: Iterable[str], outcome: Outcome = Outcome.PATCHED, at: datetime = START
) -> dict[str, AttemptView]:
    """Return ended attempts of these hosts."""
    return {name: ended(outcome, at) for name in hosts}


# --- what planning is given ---------------------------------------------------------------------


def host(name: str, *, critical: bool = False, tenant: str = "acme") -> Host:
    """Return one host of the fleet."""
    return Host(name=name, tenant=tenant, address="192.0.2.1", critical=critical)


def facts(name: str) -> Facts:
    """Return the facts of a healthy host; change them with `dataclasses.replace`."""
    return Facts(
        host=name,
        collected_at=NOON,
        os_id="debian",
        os_version="12",
        codename="bookworm",
        arch="amd64",
        hostname=name,
        machine_id=f"id-{name}",
        boot_id="b",
        uptime_seconds=1.0,
        clock_skew_seconds=0.0,
        running_kernel="6.1",
        newest_kernel="6.1",
        installed=(),
        pending=(),
        held=(),
        broken=(),
        reboot_reasons=(),
        lock_holder="",
        free_space=(FreeSpace("/", 10**10, 10**6),),
    )


def update(name: str = "openssl", *, security: bool = True, **flags: Any) -> PendingUpdate:
    """Return one update that a host offers."""
    plain = PendingUpdate(
        name=name,
        arch="amd64",
        installed="1.0",
        candidate="2.0",
        origin="Debian-Security:12",
        security=security,
    )
    return replace(plain, **flags)


def ranked(pending: PendingUpdate, *, order: float = 2.0, cves: Sequence[str] = ()) -> RankedUpdate:
    """Return an update with its rank; a lower order is more urgent."""
    priority = Priority(
        lane=Lane.ROUTINE, due=None, due_reason="", order=(order,), contributions=()
    )
    return RankedUpdate(
        update=pending, priority=priority, cves=tuple(cves), security=pending.security
    )


def candidate(
    name: str,
    *updates: RankedUpdate,
    critical: bool = False,
    facts_of: Facts | None = None,
    reason: str = "",
) -> Candidate:
    """Return a host as planning sees it: healthy, or unseen when a reason is given."""
    seen = None if reason else facts_of or facts(name)
    look = Look(host=name, at=NOON, facts=seen, reason=reason, detail="no answer", peer_key=KEY)
    return Candidate(host=host(name, critical=critical), look=look, ranked=updates)


OCCASION = Occasion(
    rollout="r-1",
    tenant="acme",
    window="night",
    window_start=START,
    window_end=END,
    last_start=LAST_START,
    requester="olga",
    nonce="0" * 32,
    fleet_digest="sha256:fleet",
    now=NOON,
)

PROFILE = Profile(
    name="linux",
    device="server",
    os="debian",
    manager="apt",
    updates=Updates.ALL,
    reboot=RebootRule.IF_NEEDED,
    waves=(
        WaveRule(
            name="pilot",
            kind=WaveKind.PILOT,
            size=Size(value=1, percent=False),
            gate=GateRule(soak=timedelta(minutes=5)),
            gap=timedelta(minutes=10),
        ),
        WaveRule(name="broad-1", kind=WaveKind.BROAD, concurrency=10),
        replace(CRITICAL_WAVE),
    ),
    host_deadline=timedelta(hours=1),
)
