"""The outcome of an attempt: what a second look says, never what an exit status says alone."""

from dataclasses import dataclass
from functools import partial

from wavemend.documents import sha256
from wavemend.evidence import Evidence, ProbeResult
from wavemend.execution.builds import proven
from wavemend.execution.drift import (
    left_out_results,
    repaired_results,
    unseen_results,
)
from wavemend.execution.follow import Followed
from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobState
from wavemend.execution.order import Order
from wavemend.execution.probes import until_well
from wavemend.execution.reboot import Rebooted
from wavemend.execution.reboot_rules import new_boot_faults
from wavemend.execution.windows_jobs import words_of
from wavemend.hosts import Facts
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.packages import JobEnd

LOG_TAIL = 8_000
"""Bytes of the transaction log kept with the evidence; its digest covers all that was read."""

PATIENCE_SECONDS = 60.0
"""How long services may take to come up after their update, without a restart of the host."""

_REACHED = frozenset({PackageOutcome.INSTALLED, PackageOutcome.CONFFILE_KEPT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """One host's outcome with its proof."""

    outcome: Outcome
    reason: str
    packages: tuple[PackageResult, ...]
    evidence: Evidence | None
    """None when the host was never touched."""


def conclude(
    hands: Hands,
    order: Order,
    before: Look,
    rebooted: Rebooted,
    followed: Followed,
    *,
    reboots: int,
) -> Conclusion:
    """Judge an attempt that may have touched its host."""
    after = rebooted.look
    packages = _packages(hands, order, before, after, followed)
    planned = frozenset((p.name, p.arch) for p in order.planned.packages)
    asked = tuple(
        result for result in packages if order.is_repair or (result.name, result.arch) in planned
    )
    judge = partial(
        decide,
        followed,
        before.facts,
        rebooted,
        asked,
        bad_end=bad_end_of(hands, order, followed),
        is_repair=order.is_repair,
    )
    # A host that has failed anyway is looked at once, for the evidence; nobody waits for it.
    patience = _patience(order, rebooted) if judge(())[0].is_good else 0.0
    seen = after.facts is not None
    probes = until_well(hands, order.host, order.profile.probes, patience) if seen else ()
    outcome, reason = judge(probes)
    return Conclusion(
        outcome=outcome,
        reason=reason,
        packages=packages,
        evidence=evidence_of(before, after, followed, probes, reboots),
    )


def decide(
    followed: Followed,
    before: Facts | None,
    rebooted: Rebooted,
    packages: tuple[PackageResult, ...],
    probes: tuple[ProbeResult, ...],
    *,
    bad_end: str = "",
    is_repair: bool = False,
) -> tuple[Outcome, str]:
    """Return the terminal outcome and its reason. Pure.

    `packages`: what became of those it is about. Patched means that each of them is there.
    `bad_end`: why the job's exit status is no good end: what the looks cannot see may be missing.
    `is_repair`: patched means that nothing is half done any more, whatever was before.
    """
    after = rebooted.look
    if followed.trouble:
        return _unseen_end(followed)
    if followed.refusal:
        return Outcome.NOT_ATTEMPTED, followed.refusal
    if after.facts is None:
        return Outcome.UNREACHABLE, f"after the change: {after.reason}: {after.detail}"
    if missed := sorted(
        (result for result in packages if result.outcome not in _REACHED),
        key=lambda result: result.outcome is not PackageOutcome.FAILED,
    ):
        first = missed[0]
        why = first.detail or f"{first.outcome}, not at its target version"
        untouched = followed.ended and _untouched(before, after.facts, packages)
        return Outcome.BLOCKED if untouched else Outcome.FAILED, f"{first.name}: {why}"
    half_done = _left(after.facts, bad_end) if is_repair else _new(before, after.facts, bad_end)
    if trouble := half_done or _trouble_of_boot(before, after.facts, rebooted):
        return Outcome.FAILED, trouble
    if bad := [probe for probe in probes if not probe.ok]:
        return Outcome.FAILED, f"probe {bad[0].name}: {bad[0].detail}"
    if pending := [reason for reason in (rebooted.pending, *after.facts.reboot_reasons) if reason]:
        return Outcome.PATCHED_REBOOT_PENDING, "; ".join(pending)
    return Outcome.PATCHED, ""


def _untouched(before: Facts | None, after: Facts, packages: tuple[PackageResult, ...]) -> bool:
    """True when a job that ended began nothing of the plan, and the host shows that, too."""
    return (
        before is not None
        and (before.boot_id, before.newest_kernel) == (after.boot_id, after.newest_kernel)
        and all(
            result.before == result.after
            and (
                result.outcome is PackageOutcome.NOT_ATTEMPTED
                or (result.outcome in _REACHED and result.before == result.target)
            )
            for result in packages
        )
    )


def _left(after: Facts, bad_end: str) -> str:
    """Say what a repair has left half done, or may have; empty when nothing is."""
    if after.defects:
        return f"half done still: {', '.join(after.defects)}"
    return f"no package is half done any more, but {bad_end}" if bad_end else ""


def _new(before: Facts | None, after: Facts, bad_end: str) -> str:
    """Say what a change has left half done, or may have; empty when nothing is."""
    known = {(p.name, p.arch) for p in before.broken} if before else set()
    if broken := [p for p in after.broken if (p.name, p.arch) not in known]:
        names = ", ".join(f"{p.name} ({p.status})" for p in broken)
        return f"packages are not whole after the change: {names}"
    return f"every version is in place, but {bad_end}" if bad_end else ""


def _trouble_of_boot(before: Facts | None, after: Facts, rebooted: Rebooted) -> str:
    if faults := new_boot_faults(before, after):
        return f"it might not come up again: {'; '.join(faults)}"
    return f"after the restart: {rebooted.trouble}" if rebooted.trouble else ""


def bad_end_of(hands: Hands, order: Order, followed: Followed) -> str:
    """Say why a job's end is no good one; empty when it is, or while it may still be at work."""
    view = followed.view
    if view is None or not followed.over or order.restart_only:
        return ""
    return hands.manager(order.host).end_trouble(view.exit_status)


def _patience(order: Order, rebooted: Rebooted) -> float:
    """Return how many seconds the services of a host have to come up."""
    if rebooted.happened:
        return order.profile.reboots.back_within.total_seconds()
    return PATIENCE_SECONDS


def _packages(
    hands: Hands, order: Order, before: Look, after: Look, followed: Followed
) -> tuple[PackageResult, ...]:
    if after.facts is None:
        return unseen_results(order.planned)
    if order.restart_only:
        return left_out_results(order.planned)
    if order.is_repair:
        return repaired_results(before.facts, after.facts)
    known = before.facts or after.facts
    view = followed.view
    end = JobEnd(exit_status=view.exit_status if view else None, log=view.log if view else b"")
    # All of them: what was there before the change is not for sure there after it.
    judged = hands.manager(order.host).judge(order.planned.targets(), known, after.facts, end)
    results = [*proven(judged, order.planned, after.facts), *left_out_results(order.planned)]
    return tuple(sorted(results, key=lambda result: (result.name, result.arch)))


def _unseen_end(followed: Followed) -> tuple[Outcome, str]:
    if followed.view is not None and followed.view.state is JobState.RUNNING:
        return Outcome.NEEDS_HUMAN, f"the transaction's end was not seen: {followed.trouble}"
    return Outcome.UNREACHABLE, f"after the start: {followed.trouble}"


def evidence_of(
    before: Look, after: Look, followed: Followed, probes: tuple[ProbeResult, ...], reboots: int
) -> Evidence:
    """Return what proves an outcome: both looks, the job's end, the probes."""
    old, new, view = before.facts, after.facts, followed.view
    seen = new or old
    log = view.log if view else b""
    return Evidence(
        host_key=after.peer_key or before.peer_key,
        machine_id=seen.machine_id if seen else "",
        boot_id_before=old.boot_id if old else "",
        boot_id_after=new.boot_id if new else "",
        kernel_before=old.running_kernel if old else "",
        kernel_after=new.running_kernel if new else "",
        newest_kernel=new.newest_kernel if new else "",
        facts_before=before.facts_digest,
        facts_after=after.facts_digest,
        job_exit_status=view.exit_status if view else None,
        log_digest=sha256(log),
        log_tail=words_of(log)[-LOG_TAIL:].decode(errors="replace"),
        reboots=reboots,
        reboot_reasons=new.reboot_reasons if new else (),
        probes=probes,
        second_look_at=after.at if new else None,
    )
