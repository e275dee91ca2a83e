"""What one rollout report says: values only, filled from the ledger, read by every renderer.

All times are UTC-aware. An empty text means "not known or not applicable"; a `None` time means
"has not happened". Nothing here is optional by omission: a builder that forgets a field fails.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavemend.outcomes import Outcome, PackageOutcome

SCHEMA = "wavemend.report/1"
"""Name of the JSON form. A field that changes its meaning or goes away makes it `/2`."""

LANES = ("emergency", "expedited", "routine", "manual", "ignored")
"""The order in which lanes are shown; an unknown lane comes after them."""


class RolloutState(StrEnum):
    """Where the rollout stood when the report was made."""

    DONE = "done"
    HALTED = "halted"
    WAITING_APPROVAL = "waiting_approval"
    RUNNING = "running"
    REJECTED = "rejected"
    EXPIRED = "expired"


class GateVerdict(StrEnum):
    """What a gate said about its wave."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    """The wave ran, and the gate has not decided yet (it soaks, or hosts are still open)."""


class Decision(StrEnum):
    """What an approver wanted; whether it counted is another question."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantReport:
    """Whose hosts these are."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReport:
    """The maintenance window the rollout ran in; its zone is the zone of every time shown."""

    name: str
    zone: str
    """IANA name, e.g. `Europe/Berlin`."""
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """A gate's decision, with the numbers it was made from."""

    verdict: GateVerdict
    ok: int
    errors: int
    max_errors: int
    success_percent: float | None
    """None where nothing was observed: no hosts is not one hundred percent."""
    min_success_percent: float
    decided_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveReport:
    """One wave: who was in it, when it ran and soaked, and what its gate said."""

    number: int
    name: str
    kind: str
    """`pilot`, `broad` or `critical`."""
    hosts: tuple[str, ...]
    started_at: datetime | None
    ended_at: datetime | None
    soak_until: datetime | None
    approval_asked_at: datetime | None
    """When an approver was asked; None for a wave that needs no approval."""
    approval_decided_at: datetime | None
    gate: GateReport | None
    """None: the gate was not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """One package of one host; `outcome` None means no second look was taken."""

    name: str
    arch: str
    before: str
    target: str
    after: str
    outcome: PackageOutcome | None
    detail: str
    cves: tuple[str, ...]
    lane: str
    title: str = ""
    """What Windows Update calls it; empty for packages, whose names say enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """One declared check, run on the host after the change."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePointReport:
    """What was made before the change, and what it can honestly bring back."""

    kind: str
    can_restore: str
    reference: str
    """Snapshot or archive id, as the place that keeps it names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """One host of the plan, its one outcome, and the evidence for it."""

    name: str
    wave: str
    """Name of its wave; empty for a host that was left out of every wave."""
    critical: bool
    exposed: bool
    simulated: bool
    outcome: Outcome | None
    """None: started or planned, and no end is recorded. Only a running rollout may have these."""
    reason: str
    attempt_id: str
    intent_at: datetime | None
    begun_at: datetime | None
    ended_at: datetime | None
    packages: tuple[PackageReport, ...]
    boot_id_before: str
    boot_id_after: str
    running_kernel_before: str
    running_kernel_after: str
    newest_kernel_before: str
    newest_kernel_after: str
    reboot_reasons: tuple[str, ...]
    probes: tuple[ProbeReport, ...]
    restore_point: RestorePointReport | None
    log_sha256: str
    log_tail: str
    """The end of the host's log, already free of secrets; the renderers bound it once more."""
    facts_before_sha256: str
    facts_after_sha256: str
    system: str = ""
    """Its operating system, `debian 12`, as the plan saw it; of Windows its product."""
    doubt: str = ""
    """What was seen or begun after its outcome and speaks against it; empty: nothing does."""

    @property
    def is_good(self) -> bool:
        """True when the host is, and was last seen, in the state the plan wanted."""
        return self.outcome is not None and self.outcome.is_good and not self.doubt

    @property
    def has_builds(self) -> bool:
        """True where the system's build stands in for what other systems call their kernel."""
        return self.system.startswith("windows")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneReport:
    """Findings of one lane, counted before and after the rollout."""

    lane: str
    open_before: int
    closed: int
    still_open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingReport:
    """One finding worth reading, with how we know."""

    cve: str
    host: str
    package: str
    lane: str
    closed: bool
    cvss: float | None
    """None: unscored, which is not the same as zero."""
    cvss_source: str
    epss: float | None
    """Probability of exploitation within 30 days, 0..1; None where EPSS has no entry."""
    epss_model: str
    epss_date: str
    """Date of the score as the feed gives it, `YYYY-MM-DD`."""
    kev: bool
    due_at: datetime | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsReport:
    """What was open before, what the rollout closed, and what is left."""

    lanes: tuple[LaneReport, ...]
    top: tuple[FindingReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalReport:
    """One decision somebody sent, whether it counted, and why not."""

    identity: str
    key_fingerprint: str
    decision: Decision
    reason: str
    at: datetime
    accepted: bool
    refusal: str
    """Why the decision did not count; empty when it did."""
    plan_digest: str
    """The digest that was signed: not always the digest of this plan, which is one refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideReport:
    """A signed statement that this night may be used although the duty rule forbids it."""

    identity: str
    key_fingerprint: str
    morning: str
    """Local date of the morning after, `YYYY-MM-DD`."""
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """An earlier opening of this window in which the rollout was due and did not run."""

    start: datetime
    end: datetime
    verdict: str
    """`skipped`: a calendar or its switch forbade it; `missed`: nobody started it in time."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReport:
    """What lay between two groups of the company in this window, by the stored times."""

    after: str
    """`wave of rollout`: the group that ended last."""
    ended_at: datetime | None
    """None: it had not ended."""
    before: str
    started_at: datetime
    required_seconds: int
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReport:
    """One feed as the plan saw it."""

    name: str
    data_date: datetime | None
    model: str
    age_seconds: float | None
    """Age of the data when the plan was made; None where the feed gives no date."""
    count: int
    rejects: int
    """Entries that could not be read. They are counted, never taken for "not affected"."""
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """State of the hash-chained log when the report was made."""

    events: int
    head: str
    verified: bool
    detail: str
    """What was checked, or where the chain breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutReport:
    """Everything one report says. Verdict and counts are derived from it, never given."""

    rollout_id: str
    tenant: TenantReport
    profile: str
    window: WindowReport
    state: RolloutState
    halted_reason: str
    started_at: datetime | None
    ended_at: datetime | None
    generated_at: datetime
    plan_digest: str
    requester: str
    simulated: bool
    expected: int
    """Hosts in the plan, counted when it was frozen: the one number not taken from `hosts`."""
    waves: tuple[WaveReport, ...]
    hosts: tuple[HostReport, ...]
    unmanaged: tuple[str, ...]
    """The company's hosts that no profile covers, sorted: never patched, and in no sum."""
    findings: FindingsReport
    approvals: tuple[ApprovalReport, ...]
    overrides: tuple[OverrideReport, ...]
    """Those that this rollout rested on: their signatures were checked as they were used."""
    nights: tuple[NightReport, ...]
    """Openings since the rollout before this one, oldest first."""
    gaps: tuple[GapReport, ...]
    """Between all groups of the company in this window, in order; none without a company's gap."""
    feeds: tuple[FeedReport, ...]
    audit: AuditReport
    open_questions: tuple[str, ...]

    @property
    def any_simulated(self) -> bool:
        """True when one host or more was played by the simulation, whatever `simulated` says."""
        return self.simulated or any(host.simulated for host in self.hosts)
