"""Emergency rollouts: whom something that is exploited touches, and opening a rollout for it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from wavemend.advisories import AdvisoryStatus
from wavemend.errors import LedgerConflict
from wavemend.fleet import EMERGENCY_WINDOW, Fleet, RolloutKey
from wavemend.ledger import approvals, permits, rollouts
from wavemend.ledger.scans import newest_seen_look
from wavemend.ledger.sorting import Question, open_findings
from wavemend.ledger.tables import AttemptRow, RolloutRow
from wavemend.observations import FindingLine
from wavemend.policy.emergencies import opening_for
from wavemend.scoring import Lane

NOT_AGAIN = timedelta(days=1)
"""What an emergency rollout has tried is not tried again by itself for so long."""

AGAIN_AFTER = timedelta(hours=1)
"""So soon after one that came to nothing the next one begins."""

MOST_LINES = 200_000
"""Findings read for one question: more hosts than that are no emergency but a campaign."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Touched:
    """One thing that one host lacks."""

    host: str
    name: str
    """The CVE, or the package where none is known."""
    package: str
    version: str
    """That has the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One company's hosts of one profile that something touches, and what."""

    key: RolloutKey
    touched: tuple[Touched, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """CVEs that are to be closed, and packages without one, sorted."""
        return tuple(sorted({item.name for item in self.touched}))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are touched as they were last seen, sorted."""
        return tuple(sorted({item.host for item in self.touched}))


def exploited(session: Session) -> tuple[Touched, ...]:
    """Return the open findings whose lane is emergency and whose fix can be installed."""
    question = Question(lanes=(Lane.EMERGENCY.value,), waived=False)
    return _fixable(open_findings(session, question, limit=MOST_LINES))


def named(session: Session, fleet: Fleet, names: Iterable[str]) -> tuple[Touched, ...]:
    """Return which hosts lack what: of CVEs by their findings, of packages by what is pending."""
    cves = sorted({name.upper() for name in names if name.upper().startswith("CVE-")})
    packages = frozenset(name for name in names if not name.upper().startswith("CVE-"))
    found: list[Touched] = []
    for cve in cves:
        found += _fixable(open_findings(session, Question(cve=cve), limit=MOST_LINES))
    for host in fleet.hosts if packages else ():
        seen = newest_seen_look(session, host.name) if host.profile else None
        facts = seen[1].facts if seen else None
        found += [
            Touched(host=host.name, name=update.name, package=update.name, version=update.candidate)
            for update in (facts.pending if facts else ())
            if update.name in packages
        ]
    return tuple(found)


def cases_of(fleet: Fleet, touched: Iterable[Touched]) -> tuple[Case, ...]:
    """Return the cases, by company and profile; unmanaged hosts have none."""
    hosts = {host.name: host for host in fleet.hosts if host.profile}
    grouped: dict[RolloutKey, set[Touched]] = {key: set() for key in fleet.emergencies()}
    keys = {(key.tenant, key.profile): key for key in grouped}
    for item in touched:
        if host := hosts.get(item.host):
            grouped[keys[host.tenant, host.profile]].add(item)
    return tuple(
        Case(key=key, touched=tuple(sorted(mine))) for key, mine in grouped.items() if mine
    )


def without_tried(session: Session, case: Case, now: datetime) -> Case | None:
    """Return what of a case no emergency rollout tried lately; None when that is nothing.

    A rollout that changed a host, or that people were asked about, has tried what it was about on
    the hosts of its plan. One that came to nothing (a freeze, hosts that were off) is tried again
    an hour after its end.
    """
    tried = frozenset(_tried(session, case.key, now))
    left = tuple(item for item in case.touched if (item.name, item.host) not in tried)
    return Case(key=case.key, touched=left) if left else None


def _tried(session: Session, key: RolloutKey, now: datetime) -> Iterator[tuple[str, str]]:
    query = select(RolloutRow).where(
        col(RolloutRow.key).startswith(f"{key}/", autoescape=True),
        col(RolloutRow.window_start) >= now - NOT_AGAIN,
    )
    for row in session.exec(query.order_by(col(RolloutRow.window_start))).all():
        plan = rollouts.read_plan(session, row.id)
        just_now = row.ended_at is None or now - row.ended_at < AGAIN_AFTER
        if plan is None or not (just_now or _counts(session, row.id)):
            continue
        for name in plan.expected():
            yield from ((about, name) for about in plan.about)


def _counts(session: Session, rollout_id: str) -> bool:
    """Say whether a rollout changed a host, or waited for a person's word."""
    changed = select(AttemptRow.id).where(
        AttemptRow.rollout_id == rollout_id, col(AttemptRow.touched).is_(True)
    )
    if session.exec(changed.limit(1)).first() is not None:
        return True
    return approvals.newest(session, rollout_id) is not None


def open_case(
    session: Session, fleet: Fleet, case: Case, *, rollout_id: str, requester: str, now: datetime
) -> RolloutRow:
    """Open the rollout of a case, in an opening that begins now.

    Raises LedgerConflict while an earlier one of the same hosts is not finished: two would wait
    for each other's hosts.
    """
    if (open_row := rollouts.unfinished_of(session, case.key)) is not None:
        raise LedgerConflict(
            f"the emergency rollout {open_row.id} of {case.key.tenant}/{case.key.profile} is not "
            "finished",
            hint="`wavemend rollout show` says what it waits for; the next one comes after it",
        )
    rule = fleet.tenant(case.key.tenant).emergency
    permits.take(session, case.key, case.names, actor=requester, now=now)
    return rollouts.open_rollout(
        session,
        rollout_id,
        case.key,
        opening_for(rule, EMERGENCY_WINDOW, now),
        requester=requester,
        now=now,
    )


def cannot_be_signed(fleet: Fleet, case: Case) -> str:
    """Say why nobody could let a case's rollout go; empty when somebody can, or it needs nobody."""
    tenant = fleet.tenant(case.key.tenant)
    if tenant.emergency.standing or tenant.approvers:
        return ""
    return (
        f"{tenant.name} has neither a standing rule nor approvers: write `emergency: "
        "{standing: true}` or name `approvers` in the fleet file"
    )


def _fixable(lines: Iterable[FindingLine]) -> tuple[Touched, ...]:
    return tuple(
        Touched(
            host=line.host,
            name=line.cve or line.package,
            package=line.package,
            version=line.fixed,
        )
        for line in lines
        if line.status == AdvisoryStatus.FIXED.value
        and not line.waived
        and line.lane != Lane.IGNORED.value
    )


def by_company(cases: Sequence[Case]) -> Mapping[str, tuple[Case, ...]]:
    """Return the cases by company, in order."""
    names = dict.fromkeys(case.key.tenant for case in cases)
    return {name: tuple(case for case in cases if case.key.tenant == name) for name in names}
