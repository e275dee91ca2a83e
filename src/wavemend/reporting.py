"""Build a rollout's report from the ledger, and from nothing else."""

from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from wavemend.errors import AuditBroken
from wavemend.evidence import Evidence
from wavemend.fleet import Fleet
from wavemend.ledger import approvals, attempts, audit, rollouts
from wavemend.ledger.scans import findings_of, newest_look
from wavemend.ledger.store import Ledger
from wavemend.ledger.tables import (
    ApprovalRequestRow,
    AttemptRow,
    FeedSnapshotRow,
    GateRow,
    RestorePointRow,
    RolloutRow,
    StepRow,
    WaveRow,
)
from wavemend.observations import Ranked
from wavemend.outcomes import Outcome
from wavemend.plans import ExcludedHost, FeedUsed, Plan, PlannedHost, PlannedWave
from wavemend.reports import ReportPaths, RolloutReport, summary_text, write_report
from wavemend.reports.model import (
    LANES,
    ApprovalReport,
    AuditReport,
    Decision,
    FeedReport,
    FindingReport,
    FindingsReport,
    GateReport,
    GateVerdict,
    HostReport,
    LaneReport,
    PackageReport,
    ProbeReport,
    RestorePointReport,
    RolloutState,
    TenantReport,
    WaveReport,
    WindowReport,
)
from wavemend.rollout import Standing
from wavemend.versions import deb_key

TOP_FINDINGS = 60
"""Rows of the findings table: what a person reads; the ledger holds all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """Where a report was written, and its few lines for a terminal."""

    paths: ReportPaths
    summary: str


def write_rollout_report(
    ledger: Ledger, fleet: Fleet, rollout_id: str, folder: Path, now: datetime
) -> WrittenReport:
    """Build and write the report of one rollout."""
    report = build_report(ledger, fleet, rollout_id, now)
    paths = write_report(report, folder)
    return WrittenReport(paths=paths, summary=summary_text(report, paths))


def build_report(ledger: Ledger, fleet: Fleet, rollout_id: str, now: datetime) -> RolloutReport:
    """Return the report of a rollout as the ledger has it at this moment."""
    with ledger.reading() as book:
        return _Builder(book, fleet, rollout_id, now).build()


class _Builder:
    """Reads each table once; every method makes one part of the report."""

    def __init__(self, book: Session, fleet: Fleet, rollout_id: str, now: datetime) -> None:
        self.book = book
        self.fleet = fleet
        self.now = now
        self.row: RolloutRow = rollouts.get_rollout(book, rollout_id)
        self.plan: Plan | None = rollouts.read_plan(book, rollout_id)
        self.attempts = {row.host: row for row in attempts.of_rollout(book, rollout_id)}
        self.view = rollouts.read_view(book, rollout_id)

    def build(self) -> RolloutReport:
        tenant = self.fleet.tenant(self.row.tenant)
        hosts = self._hosts()
        return RolloutReport(
            rollout_id=self.row.id,
            tenant=TenantReport(name=tenant.name, title=tenant.title),
            profile=self.row.profile,
            window=WindowReport(
                name=self.row.window,
                zone=tenant.zone,
                start=self.row.window_start,
                end=self.row.window_end,
            ),
            state=self._state(),
            halted_reason=self._closed_reason(),
            started_at=self.row.created_at,
            ended_at=self.row.ended_at or self._last_end(),
            generated_at=self.now,
            plan_digest=self.row.plan_digest,
            requester=self.row.requester,
            simulated=any(host.simulated for host in hosts),
            expected=len(self.plan.expected()) if self.plan else 0,
            waves=tuple(self._wave(wave) for wave in self.plan.waves) if self.plan else (),
            hosts=hosts,
            findings=self._findings(),
            approvals=self._approvals(),
            feeds=tuple(self._feed(feed) for feed in self.plan.feeds) if self.plan else (),
            audit=self._audit(),
            open_questions=self._questions(),
        )

    def _state(self) -> RolloutState:
        steps = self.view.steps
        if "closed" in steps:
            reason = self._closed_reason()
            if self.view.standing is Standing.REJECTED:
                return RolloutState.REJECTED
            return RolloutState.EXPIRED if reason.startswith("window") else RolloutState.HALTED
        if "verified" in steps:
            return RolloutState.DONE
        waiting = approvals.newest(self.book, self.row.id)
        if waiting is not None and not approvals.answered(self.book, waiting.request.id):
            return RolloutState.WAITING_APPROVAL
        return RolloutState.RUNNING

    def _closed_reason(self) -> str:
        step = self.book.get(StepRow, (self.row.id, "closed"))
        return step.detail if step else ""

    def _last_end(self) -> datetime | None:
        if "verified" not in self.view.steps:
            return None
        step = self.book.get(StepRow, (self.row.id, "verified"))
        return step.at if step else None

    def _wave(self, wave: PlannedWave) -> WaveReport:
        begun = self.book.get(WaveRow, (self.row.id, wave.number))
        ends = [
            row.ended_at
            for name in wave.hosts
            if (row := self.attempts.get(name)) and row.ended_at and row.touched
        ]
        complete = all(name in self.attempts for name in wave.hosts)
        ended = max(ends) if ends and complete else None
        asked = wave.kind == "critical"
        return WaveReport(
            number=wave.number,
            name=wave.name,
            kind=wave.kind,
            hosts=wave.hosts,
            started_at=begun.started_at if begun else None,
            ended_at=ended,
            soak_until=ended + timedelta(seconds=wave.soak_seconds) if ended else None,
            approval_asked_at=self._asked_at() if asked else None,
            approval_decided_at=self._decided_at() if asked else None,
            gate=self._gate(wave, begun is not None),
        )

    def _gate(self, wave: PlannedWave, begun: bool) -> GateReport | None:
        row = self.book.get(GateRow, (self.row.id, wave.number))
        if row is None and not begun:
            return None
        errors = row.errors if row else 0
        good = row.good if row else 0
        stopped = row is None and "closed" in self.view.steps
        verdict = GateVerdict.PENDING
        if row is not None:
            verdict = GateVerdict.PASSED if row.passed else GateVerdict.FAILED
        elif stopped:
            verdict = GateVerdict.FAILED
            outcomes = [
                self.view.attempts[n].outcome for n in wave.hosts if n in self.view.attempts
            ]
            errors = sum(outcome is not None and outcome.is_bad for outcome in outcomes)
            good = sum(outcome is not None and outcome.is_good for outcome in outcomes)
        observed = good + errors
        return GateReport(
            verdict=verdict,
            ok=good,
            errors=errors,
            max_errors=wave.max_errors,
            success_percent=100 * good / observed if observed else None,
            min_success_percent=float(wave.min_success_percent),
            decided_at=row.at if row else None,
            reason=row.reason if row else (self._closed_reason() if stopped else ""),
        )

    def _asked_at(self) -> datetime | None:
        query = select(ApprovalRequestRow.asked_at).where(
            ApprovalRequestRow.rollout_id == self.row.id
        )
        return self.book.exec(query.order_by(col(ApprovalRequestRow.asking))).first()

    def _decided_at(self) -> datetime | None:
        known = [row.at for row in approvals.decisions(self.book, self.row.id) if row.accepted]
        return known[-1] if known else None

    def _hosts(self) -> tuple[HostReport, ...]:
        if self.plan is None:
            return ()
        planned = [self._planned(host) for host in self.plan.hosts]
        return tuple(
            sorted(
                [*planned, *(self._excluded(left) for left in self.plan.excluded)],
                key=lambda host: host.name,
            )
        )

    def _planned(self, host: PlannedHost) -> HostReport:
        row = self.attempts.get(host.name)
        evidence = attempts.evidence_of(row) if row else None
        return _host_report(
            _proof(evidence),
            name=host.name,
            wave=self.plan.wave_of(host.name).name if self.plan else "",
            critical=host.critical,
            exposed=host.exposed,
            simulated=host.simulated,
            outcome=Outcome(row.outcome) if row and row.outcome else None,
            reason=row.reason if row else "",
            attempt_id=row.id if row else "",
            intent_at=row.intent_at if row else None,
            begun_at=row.begun_at if row else None,
            ended_at=row.ended_at if row else None,
            packages=_packages(host, row),
            restore_point=self._restore_point(host.name),
        )

    def _excluded(self, left: ExcludedHost) -> HostReport:
        declared = next((host for host in self.fleet.hosts if host.name == left.name), None)
        found = newest_look(self.book, left.name, purpose="preflight", rollout_id=self.row.id)
        facts = found[1].facts if found else None
        simulated = bool((declared and declared.simulated) or (facts and facts.simulated))
        return _host_report(
            _Proof(),
            name=left.name,
            wave="",
            critical=bool(declared and declared.critical),
            exposed=bool(declared and declared.exposed),
            simulated=simulated,
            outcome=left.outcome,
            reason=left.reason,
            attempt_id="",
            intent_at=None,
            begun_at=None,
            ended_at=None,
            packages=(),
            restore_point=None,
        )

    def _restore_point(self, host: str) -> RestorePointReport | None:
        row = self.book.get(RestorePointRow, (self.row.id, host))
        if row is None:
            return None
        can = row.restores if row.proven else f"not proven: {row.detail}"
        return RestorePointReport(kind=row.kind, can_restore=can, reference=row.name)

    def _findings(self) -> FindingsReport:
        rows: list[tuple[Ranked, bool]] = []
        for host in self.plan.hosts if self.plan else ():
            found = newest_look(self.book, host.name, purpose="preflight", rollout_id=self.row.id)
            if found is None:
                continue
            fixed_now = self._source_versions(host.name)
            rows += [
                (ranked, _closed(ranked, fixed_now)) for ranked in findings_of(self.book, found[0])
            ]
        rows.sort(key=lambda item: (item[0].priority.order, item[0].finding.host))
        lanes = sorted({str(r.priority.lane) for r, _ in rows}, key=_lane_order)
        return FindingsReport(
            lanes=tuple(_lane(lane, rows) for lane in lanes),
            top=tuple(_finding(ranked, closed) for ranked, closed in rows[:TOP_FINDINGS]),
        )

    def _source_versions(self, host: str) -> dict[str, str]:
        """Return source package to version as the last look after the change saw them."""
        for purpose in ("verify", "after"):
            found = newest_look(self.book, host, purpose=purpose, rollout_id=self.row.id)
            if found is not None and found[1].facts is not None:
                return {p.source: p.source_version for p in found[1].facts.installed}
        return {}

    def _approvals(self) -> tuple[ApprovalReport, ...]:
        return tuple(
            ApprovalReport(
                identity=row.identity or "nobody named",
                key_fingerprint=row.fingerprint,
                decision=Decision.REJECT if row.decision == "reject" else Decision.APPROVE,
                reason=row.reason,
                at=row.at,
                accepted=row.accepted,
                refusal=row.refusal,
                plan_digest=row.plan_digest,
            )
            for row in approvals.decisions(self.book, self.row.id)
        )

    def _feed(self, used: FeedUsed) -> FeedReport:
        query = select(FeedSnapshotRow).where(
            FeedSnapshotRow.feed == used.feed, FeedSnapshotRow.digest == used.digest
        )
        row = self.book.exec(query).first()
        date = datetime.fromisoformat(used.data_date) if used.data_date else None
        made = self.plan.created_at if self.plan else self.now
        return FeedReport(
            name=used.feed,
            data_date=date,
            model=used.model,
            age_seconds=(made - date).total_seconds() if date else None,
            count=row.entries if row else 0,
            rejects=row.rejects if row else 0,
            stale=used.stale,
        )

    def _audit(self) -> AuditReport:
        try:
            head = audit.verify(self.book)
        except AuditBroken as error:
            broken = audit.head(self.book)
            return AuditReport(
                events=broken.events, head=broken.digest, verified=False, detail=str(error)
            )
        detail = "every event was hashed again, from the first to the head"
        return AuditReport(events=head.events, head=head.digest, verified=True, detail=detail)

    def _questions(self) -> tuple[str, ...]:
        questions = []
        step = self.book.get(StepRow, (self.row.id, "verified"))
        if step and step.detail:
            questions += [f"at the last look: {line}" for line in step.detail.splitlines()]
        if self.plan and (stale := [feed.feed for feed in self.plan.feeds if feed.stale]):
            questions.append(
                f"decided on stale or missing feeds: {', '.join(stale)}; "
                "what they do not know is not in this report"
            )
        return tuple(questions)


def _packages(host: PlannedHost, row: AttemptRow | None) -> tuple[PackageReport, ...]:
    planned = {(p.name, p.arch): p for p in host.packages}
    results = attempts.packages_of(row) if row else ()
    reports = [
        PackageReport(
            name=result.name,
            arch=result.arch,
            before=result.before,
            target=result.target,
            after=result.after,
            outcome=result.outcome,
            detail=result.detail,
            cves=p.cves if (p := planned.get((result.name, result.arch))) else (),
            lane=p.lane if p else "",
        )
        for result in results
    ]
    known = {(report.name, report.arch) for report in reports}
    reports += [
        PackageReport(
            name=p.name,
            arch=p.arch,
            before=p.installed,
            target=p.target,
            after="",
            outcome=None,
            detail="",
            cves=p.cves,
            lane=p.lane,
        )
        for p in host.packages
        if (p.name, p.arch) not in known
    ]
    return tuple(sorted(reports, key=lambda report: (report.name, report.arch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """Evidence in the report's words; empty for a host that was never touched."""

    boot_id_before: str = ""
    boot_id_after: str = ""
    running_kernel_before: str = ""
    running_kernel_after: str = ""
    newest_kernel_before: str = ""
    newest_kernel_after: str = ""
    reboot_reasons: tuple[str, ...] = ()
    probes: tuple[ProbeReport, ...] = ()
    log_sha256: str = ""
    log_tail: str = ""
    facts_before_sha256: str = ""
    facts_after_sha256: str = ""


def _proof(evidence: Evidence | None) -> _Proof:
    if evidence is None:
        return _Proof()
    return _Proof(
        boot_id_before=evidence.boot_id_before,
        boot_id_after=evidence.boot_id_after,
        running_kernel_before=evidence.kernel_before,
        running_kernel_after=evidence.kernel_after,
        newest_kernel_after=evidence.newest_kernel,
        reboot_reasons=evidence.reboot_reasons,
        probes=tuple(
            ProbeReport(name=probe.name, ok=probe.ok, detail=probe.detail)
            for probe in evidence.probes
        ),
        log_sha256=evidence.log_digest.removeprefix("sha256:"),
        log_tail=evidence.log_tail,
        facts_before_sha256=evidence.facts_before.removeprefix("sha256:"),
        facts_after_sha256=evidence.facts_after.removeprefix("sha256:"),
    )


def _host_report(proof: _Proof, **fields: Any) -> HostReport:
    return HostReport(
        **{field.name: getattr(proof, field.name) for field in fields_of(_Proof)}, **fields
    )


def _closed(ranked: Ranked, fixed_now: dict[str, str]) -> bool:
    """True only when a look after the change saw a version that has the fix."""
    finding = ranked.finding
    now = fixed_now.get(finding.source_package)
    if now is None or finding.fixed is None:
        return False
    return deb_key(now) >= deb_key(finding.fixed)


def _lane(lane: str, rows: list[tuple[Ranked, bool]]) -> LaneReport:
    states = [closed for ranked, closed in rows if ranked.priority.lane == lane]
    return LaneReport(
        lane=lane,
        open_before=len(states),
        closed=sum(states),
        still_open=len(states) - sum(states),
    )


def _finding(ranked: Ranked, closed: bool) -> FindingReport:
    finding, known = ranked.finding, ranked.vulnerability
    because = finding.because
    return FindingReport(
        cve=finding.cve,
        host=finding.host,
        package=finding.source_package,
        lane=ranked.priority.lane,
        closed=closed,
        cvss=known.cvss.score if known.cvss else None,
        cvss_source=f"{known.cvss.source} v{known.cvss.version}" if known.cvss else "",
        epss=known.epss.probability if known.epss else None,
        epss_model=known.epss.model if known.epss else "",
        epss_date=known.epss.date.isoformat() if known.epss else "",
        kev=known.kev is not None,
        due_at=ranked.priority.due,
        because=f"{because.feed} {because.document}: {because.compared}",
    )


def _lane_order(lane: str) -> tuple[int, str]:
    return (LANES.index(lane) if lane in LANES else len(LANES), lane)
