"""The frozen plan: which hosts get exactly which versions, in which order, in which window.

A plan is identified by the SHA-256 digest of its canonical document. What was approved is what
runs, or nothing runs: every start compares the host with the plan it was approved in.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from wavemend.documents import from_document, sha256, to_document
from wavemend.errors import PlanError
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target
from wavemend.windows.titles import title_of

SCHEMA = "wavemend.plan/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPackage:
    """One package of one host, from exactly one version to exactly one version."""

    name: str
    arch: str
    installed: str
    target: str
    origin: str
    lane: str
    due: datetime | None = None
    cves: tuple[str, ...] = ()
    after_pilot: bool = False
    """True: its host begins only once a pilot of this plan ended well with exactly this version."""
    builds: tuple[tuple[str, str], ...] = ()
    """Products and the builds that prove the update is there, see `PendingUpdate.builds`."""
    restart: bool | None = None
    """Whether the host must restart for it; None: nobody says."""

    @property
    def title(self) -> str:
        """What Windows Update calls it; empty for packages, whose names say enough."""
        return title_of(self.arch, self.origin)

    def as_target(self) -> Target:
        """Return what the package manager is asked for."""
        return Target(name=self.name, arch=self.arch, version=self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A pending update that this plan does not install, and why."""

    name: str
    arch: str
    installed: str
    candidate: str
    outcome: PackageOutcome
    reason: str
    title: str = ""
    """As `PlannedPackage.title`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedHost:
    """One host of the plan, with the fingerprint it was planned for."""

    name: str
    address: str
    critical: bool
    exposed: bool
    simulated: bool
    machine_id: str
    host_key: str
    packages: tuple[PlannedPackage, ...]
    left_out: tuple[LeftOut, ...] = ()
    reboot: str = "never"
    system: str = ""
    """Its operating system, as `Facts.system` says."""
    takes_seconds: int = 0
    """How long its change is expected to take; 0: nobody estimated it."""
    at_most_seconds: int = 0
    """How long 95 of 100 such changes take: it is not started when less is left of the window."""
    repairs: tuple[str, ...] = ()
    """What a repair is to mend, as `Facts.defects` said; empty: the plan is of another kind."""

    @property
    def changes_packages(self) -> bool:
        """False for a host that is only restarted."""
        return bool(self.packages or self.repairs)

    def targets(self) -> tuple[Target, ...]:
        """Return the exact versions asked for, in the plan's order of priority."""
        return tuple(package.as_target() for package in self.packages)


@dataclass(frozen=True, kw_only=True)
class PlannedWave:
    """One ordered part of the rollout, and the gate that follows it."""

    number: int
    name: str
    kind: str
    hosts: tuple[str, ...]
    concurrency: int
    max_errors: int
    min_success_percent: int
    min_observed: int
    soak_seconds: int
    gap_seconds: int

    def __post_init__(self) -> None:
        if not self.hosts:
            raise PlanError(f"wave {self.name} has no hosts", hint="leave an empty wave out")
        if self.concurrency < 1:
            raise PlanError(f"wave {self.name} has concurrency {self.concurrency}", hint="use 1")

    @cached_property
    def members(self) -> frozenset[str]:
        """The wave's hosts, for asking whether one is in it."""
        return frozenset(self.hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedHost:
    """A host of the selection that the plan cannot include: it keeps its place in the sums."""

    name: str
    outcome: Outcome
    reason: str
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedUsed:
    """One feed snapshot the decisions of this plan rest on."""

    feed: str
    digest: str
    data_date: str
    model: str
    stale: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is approved and executed. Times are UTC-aware.

    Without slots, so that what follows from it is worked out once: the digest of 4,000 hosts
    takes a second, and every start asks for it.
    """

    rollout: str
    tenant: str
    profile: str
    window: str
    window_start: datetime
    window_end: datetime
    last_start: datetime
    created_at: datetime
    requester: str
    nonce: str
    fleet_digest: str
    feeds: tuple[FeedUsed, ...]
    hosts: tuple[PlannedHost, ...]
    waves: tuple[PlannedWave, ...]
    excluded: tuple[ExcludedHost, ...]
    schema: str = SCHEMA
    kind: str = "patch"
    """What the rollout does, see `RolloutKind`."""
    about: tuple[str, ...] = ()
    """CVEs and packages it takes and nothing else, sorted; empty: whatever is pending."""
    all_signed: bool = False
    """True: no host changes without a signature, critical or not."""

    def __post_init__(self) -> None:
        placed = [name for wave in self.waves for name in wave.hosts]
        planned = {host.name for host in self.hosts}
        if len(placed) != len(set(placed)) or set(placed) != planned:
            raise PlanError(
                "the waves do not hold each planned host exactly once",
                hint=f"planned {sorted(planned)}, in waves {sorted(placed)}",
            )

    def document(self) -> bytes:
        """Return the canonical bytes that are stored, hashed and approved."""
        return to_document(self)

    @cached_property
    def digest(self) -> str:
        """The plan's identity: `sha256:<hex>` of its document."""
        return sha256(self.document())

    def host(self, name: str) -> PlannedHost:
        """Return one planned host. Raises PlanError when the plan has none of that name."""
        if name not in self._by_name:
            raise PlanError(f"the plan has no host {name}")
        return self._by_name[name]

    def needs_signature(self, name: str) -> bool:
        """Say whether a host changes only with a recorded approval of this plan."""
        return self.all_signed or self.host(name).critical

    def wave_of(self, name: str) -> PlannedWave:
        """Return the wave a host is in. Raises PlanError when it is in none."""
        if name not in self._wave_by_host:
            raise PlanError(f"no wave of the plan has the host {name}")
        return self._wave_by_host[name]

    @cached_property
    def _by_name(self) -> dict[str, PlannedHost]:
        return {host.name: host for host in self.hosts}

    @cached_property
    def _wave_by_host(self) -> dict[str, PlannedWave]:
        return {name: wave for wave in self.waves for name in wave.hosts}

    def expected(self) -> tuple[str, ...]:
        """Every host that must end with exactly one outcome, sorted."""
        return tuple(
            sorted([host.name for host in self.hosts] + [host.name for host in self.excluded])
        )


def load_plan(document: bytes, digest: str) -> Plan:
    """Return the plan of a stored document, after checking that it is the one of that digest."""
    if sha256(document) != digest:
        raise PlanError(
            f"the stored plan is not the one called {digest}",
            hint="the ledger was changed from outside; run `wavemend audit verify`",
        )
    plan = from_document(Plan, document)
    # The bytes that were approved are its identity: written anew, a plan of an older version
    # would have today's fields too, and another digest.
    vars(plan)["digest"] = digest
    return plan
