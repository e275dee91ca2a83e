"""Hosts: one outcome each, their packages, and the evidence for both."""

from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from typing import Any

from wavemend.evidence import Evidence
from wavemend.ledger import attempts, rollbacks
from wavemend.ledger.care_tables import RestorePointRow, RollbackRow
from wavemend.ledger.tables import (
    AttemptRow,
)
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.plans import ExcludedHost, PlannedHost
from wavemend.reporting.source import Source
from wavemend.reports.model import HostReport, PackageReport, ProbeReport, RestorePointReport


def host_reports(source: Source) -> tuple[HostReport, ...]:
    """Return every host the plan knows, those it had to leave out too, by name."""
    if source.plan is None:
        return ()
    planned = [_planned(source, host) for host in source.plan.hosts]
    return tuple(
        sorted(
            [*planned, *(_excluded(source, left) for left in source.plan.excluded)],
            key=lambda host: host.name,
        )
    )


def _planned(source: Source, host: PlannedHost) -> HostReport:
    row = source.attempts.get(host.name)
    evidence = attempts.evidence_of(row) if row else None
    standing = _standing(source, row)
    return _host_report(
        _proof(evidence),
        name=host.name,
        wave=source.plan.wave_of(host.name).name if source.plan else "",
        critical=host.critical,
        exposed=host.exposed,
        simulated=host.simulated,
        outcome=standing.outcome,
        reason=standing.reason,
        doubt=standing.doubt,
        attempt_id=row.id if row else "",
        intent_at=row.intent_at if row else None,
        begun_at=row.begun_at if row else None,
        ended_at=row.ended_at if row else None,
        packages=_packages(source, host, row),
        restore_point=_restore_point(source, host.name),
        system=host.system,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What is known of a host in the end, in the report's words."""

    outcome: Outcome | None
    reason: str
    doubt: str = ""


def _standing(source: Source, row: AttemptRow | None) -> _Standing:
    """Return how a host stands: its attempt's outcome, or what a rollback later made of it.

    A host that was patched and then taken back is not patched, whoever took it back. One that was
    begun to be taken back may be anything, and so may one that was seen otherwise since.
    """
    if row is None or not row.outcome:
        return _Standing(outcome=None, reason=row.reason if row else "")
    outcome, reason = Outcome(row.outcome), row.reason
    since = [back for back in source.rollbacks_of(row.id) if _is_after(back, row)]
    told, doubts = f"was {outcome}{f' ({reason})' if reason else ''}", []
    for back in since:
        who = f"by {back.requested_by} ({back.reason})"
        if back.ended_at is None:
            doubts.append(f"rollback {who} has no end recorded")
            continue
        end = f"{back.outcome}: {back.detail}"
        told += f"; rollback on {back.ended_at:%Y-%m-%d %H:%M} UTC {who}: {end}"
        reason = told
        if back.outcome != Outcome.BLOCKED:  # one that was refused has changed nothing
            outcome = Outcome(back.outcome)
    if outcome.is_good and (seen := source.seen_since(row.host)):
        doubts.append(seen)
    return _Standing(outcome=outcome, reason=reason, doubt="; ".join(doubts))


def _is_after(back: RollbackRow, row: AttemptRow) -> bool:
    """False for a rollback that is a part of the attempt itself, whose outcome has it already."""
    return back.ended_at is None or row.ended_at is None or back.ended_at > row.ended_at


def _later_rollback(source: Source, row: AttemptRow) -> RollbackRow | None:
    """Return the last rollback that changed a host after its attempt, if there was one."""
    changed = [
        back
        for back in source.rollbacks_of(row.id)
        if back.ended_at is not None and back.outcome != Outcome.BLOCKED and _is_after(back, row)
    ]
    return changed[-1] if changed else None


def _excluded(source: Source, left: ExcludedHost) -> HostReport:
    declared = source.declared.get(left.name)
    return _host_report(
        _Proof(),
        name=left.name,
        wave="",
        critical=bool(declared and declared.critical),
        exposed=bool(declared and declared.exposed),
        simulated=left.simulated or left.name in source.simulated,
        outcome=left.outcome,
        reason=left.reason,
        attempt_id="",
        intent_at=None,
        begun_at=None,
        ended_at=None,
        packages=(),
        restore_point=None,
    )


def _restore_point(source: Source, host: str) -> RestorePointReport | None:
    row = source.book.get(RestorePointRow, (source.row.id, host))
    if row is None:
        return None
    can = row.restores if row.proven else f"not proven: {row.detail}"
    return RestorePointReport(kind=row.kind, can_restore=can, reference=row.name)


def _packages(
    source: Source, host: PlannedHost, row: AttemptRow | None
) -> tuple[PackageReport, ...]:
    planned = {(p.name, p.arch): p for p in host.packages}
    titles = {key: p.title for key, p in planned.items()}
    titles |= {(left.name, left.arch): left.title for left in host.left_out}
    results = _as_they_are(source, row) if row else ()
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
            title=titles.get((result.name, result.arch), ""),
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
            title=p.title,
        )
        for p in host.packages
        if (p.name, p.arch) not in known
    ]
    return tuple(sorted(reports, key=lambda report: (report.name, report.arch)))


def _as_they_are(source: Source, row: AttemptRow) -> tuple[PackageResult, ...]:
    """Return what became of each package: what a later rollback made of it counts."""
    results, last = attempts.packages_of(row), _later_rollback(source, row)
    if last is None:
        return results
    now = {(result.name, result.arch): result for result in rollbacks.packages_of(last)}
    return tuple(_taken_back(each, now.get((each.name, each.arch))) for each in results)


def _taken_back(result: PackageResult, back: PackageResult | None) -> PackageResult:
    if back is None or back.after == result.after:
        return result
    return replace(
        result,
        after=back.after,
        outcome=PackageOutcome.FAILED,
        detail="taken back" if back.outcome is PackageOutcome.INSTALLED else back.detail,
    )


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
