"""Windows hosts as tests of the core know them, and what our reader makes of real documents."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tests.cases.rollouts.build import OCCASION, PROFILE
from wavemend.advisories import Advisory, FeedSnapshot, Vulnerability
from wavemend.feeds import Document
from wavemend.feeds.readers.msrc import FEED
from wavemend.findings import Finding
from wavemend.hosts import Facts, FreeSpace, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.matching import Matcher
from wavemend.observations import Look
from wavemend.planning import Candidate, make_plan
from wavemend.plans import Plan
from wavemend.scoring import RankedUpdate, rank_updates
from wavemend.testing.collected import Collected

CASES = Path(__file__).parent / "msrc_golden"
MONTHS = tuple(CASES / name for name in ("2026-Feb.xml.xz", "cvrf-2024-11_2025-02.tar.xz"))
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

SERVER = "windows-server-2022"
BEFORE = "10.0.20348.4171"
FIXED = "10.0.20348.4773"
LCU = "KB5075906"

PRODUCTS = {
    "Windows Server 2025": ("windows-server-2025", "x64"),
    "Windows Server 2022": (SERVER, "x64"),
    "Windows Server 2019": ("windows-server-2019", "x64"),
    "Windows Server 2016": ("windows-server-2016", "x64"),
    "Windows Server 2012 R2": ("windows-server-2012-r2", "x64"),
    "Windows 10 Version 1809 for x64-based Systems": ("windows-10-1809", "x64"),
    "Windows 11 Version 24H2 for x64-based Systems": ("windows-11-24h2", "x64"),
}
"""Release key and architecture, by the name that Microsoft publishes."""

WIN1 = Host(
    name="win1",
    tenant="acme",
    address="192.0.2.7",
    transport="winrm",
    manager="windows_update",
    simulated=True,
)


@cache
def read() -> Collected:
    """Return what our reader makes of the stored months."""
    sink = Collected()
    FEED.parse([Document(name=path.name, path=path) for path in MONTHS], sink)
    return sink


@cache
def known() -> Intelligence:
    """Return the stored months as a state of the feeds, with a KEV catalogue that lists nothing."""
    sink = read()
    advisories: dict[tuple[str, str], tuple[Advisory, ...]] = {}
    for item in sink.advisories:
        key = item.release, item.package
        advisories[key] = (*advisories.get(key, ()), item)
    return Intelligence(
        vulnerabilities={
            cve: Vulnerability(cve=cve, exploits=exploits)
            for cve, exploits in sink.evidence.items()
        },
        advisories=advisories,
        snapshots=(
            FeedSnapshot(feed="msrc", source="", digest="d", fetched_at=NOON, data_date=NOON),
        ),
    )


def product(name: str, build: str, arch: str = "x64", module: str = "") -> InstalledPackage:
    """Return Windows itself, or a component of it, as a host reports it."""
    return InstalledPackage(
        name=name, version=build, arch=arch, source="", source_version="", module=module
    )


def offered(
    kb: str = LCU, *, revision: int = 200, builds: tuple[tuple[str, str], ...] = ()
) -> PendingUpdate:
    """Return an update as the host's own update service offers it."""
    return PendingUpdate(
        name=kb,
        arch=f"8e6c6ad3-0000-4000-8000-{kb[2:]:0>12}",
        installed="",
        candidate=f"r{revision}",
        origin=f"Cumulative Update ({kb})",
        security=True,
        advisories=(kb,),
        builds=builds,
    )


def seen(system: InstalledPackage, *pending: PendingUpdate) -> Facts:
    """Return a healthy Windows host's facts."""
    return Facts(
        host="win1",
        collected_at=NOON,
        os_id="windows",
        os_version=system.version,
        codename=system.name,
        arch=system.arch,
        hostname="WIN1",
        machine_id="5c3d5d5e-0000-4000-8000-000000000001",
        boot_id="41",
        uptime_seconds=1.0,
        clock_skew_seconds=0.0,
        running_kernel=system.version,
        newest_kernel=system.version,
        installed=(system,),
        pending=pending,
        held=(),
        broken=(),
        reboot_reasons=(),
        lock_holder="",
        free_space=(FreeSpace("C:\\", 50 * 2**30, -1),),
        simulated=True,
    )


def found(facts: Facts) -> tuple[Finding, ...]:
    """Return what a host lacks by the stored months."""
    return Matcher(known()).match(WIN1, facts, today=NOON.date()).findings


def ranked(facts: Facts, state: Intelligence | None = None) -> tuple[RankedUpdate, ...]:
    """Return its pending updates by rank, as the stored months or another state rank them."""
    matcher = Matcher(state or known())
    matched = matcher.match(WIN1, facts, today=NOON.date())
    return rank_updates(WIN1, matcher.understood(facts), matched, state or known(), NOON)


def planned(facts: Facts) -> Plan:
    """Return the plan of this one host."""
    look = Look(host="win1", at=NOON, facts=facts)
    profile = replace(PROFILE, os="windows", manager="windows_update")
    return make_plan(OCCASION, profile, [Candidate(host=WIN1, look=look, ranked=ranked(facts))], ())
