"""How a company stands: open and overdue findings, by each host's last look. From the ledger."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from wavemend.fleet import Fleet
from wavemend.ledger.assessments import Question, assessment_at, open_findings
from wavemend.ledger.scans import newest_look
from wavemend.observations import Assessment, Look


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyStanding:
    """One company at one moment. Hosts = clean + open + unknown + unmanaged."""

    tenant: str
    hosts: int
    clean: int
    open: int
    """Hosts with at least one finding that counts."""
    unknown: int
    """Managed hosts whose last look failed or never was, and those without a finding whose last
    look was not judged, not of one package, or by a stale or missing feed: not compliant."""
    unmanaged: int
    findings: int
    overdue: int
    simulated: int
    """How many of the hosts are only played."""

    @property
    def clean_percent(self) -> int:
        """Hosts known to be clean, of all hosts, rounded down; no hosts is not 100 %."""
        return 100 * self.clean // self.hosts if self.hosts else 0


def standing_of(book: Session, fleet: Fleet, tenant: str, now: datetime) -> CompanyStanding:
    """Count one company's hosts and findings."""
    clean = open_ = unknown = unmanaged = findings = overdue = 0
    hosts = fleet.hosts_of(tenant)
    for host in hosts:
        if not host.profile:
            unmanaged += 1
            continue
        found = newest_look(book, host.name)
        if found is None or found[1].facts is None:
            unknown += 1
            continue
        lines = open_findings(book, Question(host=host.name))
        counted = [line for line in lines if line.lane != "ignored"]
        findings += len(counted)
        overdue += sum(line.due is not None and line.due < now for line in counted)
        if counted:
            open_ += 1
        elif _is_judged(assessment_at(book, host.name), found[1]):
            clean += 1
        else:
            unknown += 1
    return CompanyStanding(
        tenant=tenant,
        hosts=len(hosts),
        clean=clean,
        open=open_,
        unknown=unknown,
        unmanaged=unmanaged,
        findings=findings,
        overdue=overdue,
        simulated=sum(host.simulated for host in hosts),
    )


def _is_judged(assessed: Assessment | None, look: Look) -> bool:
    """Say whether "no findings" means something: what no feed knows, nobody finds."""
    return (
        assessed is not None
        and assessed.scanned_at >= look.at
        and assessed.judged > 0
        and not any(feed.stale for feed in assessed.feeds)
    )
