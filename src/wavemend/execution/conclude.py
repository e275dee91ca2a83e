"""The outcome of an attempt: what a second look says, never what an exit status says alone."""

from dataclasses import dataclass

from wavemend.documents import sha256
from wavemend.errors import TransportError
from wavemend.evidence import Evidence, ProbeResult
from wavemend.execution.drift import left_out_results, missing_targets, unseen_results
from wavemend.execution.follow import Followed
from wavemend.execution.hands import Hands
from wavemend.execution.jobs import JobState
from wavemend.execution.order import Order
from wavemend.execution.reboot import Rebooted
from wavemend.hosts import Facts
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.packages import JobEnd

LOG_TAIL = 8_000
"""Bytes of the transaction log kept with the evidence; its digest covers all that was read."""

PROBE_SECONDS = 60.0

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
    probes = run_probes(hands, order) if after.facts is not None else ()
    packages = _packages(hands, order, before, after, followed)
    planned = frozenset((p.name, p.arch) for p in order.planned.packages)
    asked = tuple(result for result in packages if (result.name, result.arch) in planned)
    outcome, reason = decide(followed, before.facts, rebooted, asked, probes)
    return Conclusion(
        outcome=outcome,
        reason=reason,
        packages=packages,
        evidence=_evidence(before, after, followed, probes, reboots),
    )


def decide(
    followed: Followed,
    before: Facts | None,
    rebooted: Rebooted,
    packages: tuple[PackageResult, ...],
    probes: tuple[ProbeResult, ...],
) -> tuple[Outcome, str]:
    """Return the terminal outcome and its reason. Pure.

    `packages`: what became of the planned ones. Patched means that each of them is there.
    """
    after = rebooted.look
    if followed.trouble:
        return _unseen_end(followed)
    if followed.view is not None and followed.view.state is JobState.REFUSED_FENCE:
        return Outcome.NOT_ATTEMPTED, "the host has seen a newer controller and refused this one"
    if after.facts is None:
        return Outcome.UNREACHABLE, f"after the change: {after.reason}: {after.detail}"
    if missed := sorted(
        (result for result in packages if result.outcome not in _REACHED),
        key=lambda result: result.outcome is not PackageOutcome.FAILED,
    ):
        first = missed[0]
        why = first.detail or f"{first.outcome}, not at its target version"
        return Outcome.FAILED, f"{first.name}: {why}"
    known = {(p.name, p.arch) for p in before.broken} if before else set()
    if broken := [p for p in after.facts.broken if (p.name, p.arch) not in known]:
        names = ", ".join(f"{p.name} ({p.status})" for p in broken)
        return Outcome.FAILED, f"packages are not whole after the change: {names}"
    if bad := [probe for probe in probes if not probe.ok]:
        return Outcome.FAILED, f"probe {bad[0].name}: {bad[0].detail}"
    if pending := [reason for reason in (rebooted.pending, *after.facts.reboot_reasons) if reason]:
        return Outcome.PATCHED_REBOOT_PENDING, "; ".join(pending)
    return Outcome.PATCHED, ""


def run_probes(hands: Hands, order: Order) -> tuple[ProbeResult, ...]:
    """Run the profile's probes on the host, over a connection of their own."""
    if not order.profile.probes:
        return ()
    try:
        transport = hands.connect(order.host)
    except TransportError as error:
        return tuple(
            ProbeResult(name=probe.name, ok=False, detail=f"{error.reason}: {error}")
            for probe in order.profile.probes
        )
    results = []
    try:
        for probe in order.profile.probes:
            try:
                done = transport.run(probe.argv, deadline=PROBE_SECONDS)
            except TransportError as error:
                results.append(ProbeResult(name=probe.name, ok=False, detail=str(error)))
                continue
            text = (done.stderr or done.stdout).decode(errors="replace").strip()[-200:]
            detail = "" if done.exit_status == 0 else f"exit status {done.exit_status} {text}"
            results.append(
                ProbeResult(name=probe.name, ok=done.exit_status == 0, detail=detail.strip())
            )
    finally:
        transport.close()
    return tuple(results)


def _packages(
    hands: Hands, order: Order, before: Look, after: Look, followed: Followed
) -> tuple[PackageResult, ...]:
    if after.facts is None:
        return unseen_results(order.planned)
    known = before.facts or after.facts
    view = followed.view
    end = JobEnd(exit_status=view.exit_status if view else None, log=view.log if view else b"")
    asked = missing_targets(order.planned, known) or order.planned.targets()
    judged = hands.manager(order.host).judge(asked, known, after.facts, end)
    results = [*judged, *left_out_results(order.planned)]
    return tuple(sorted(results, key=lambda result: (result.name, result.arch)))


def _unseen_end(followed: Followed) -> tuple[Outcome, str]:
    if followed.view is not None and followed.view.state is JobState.RUNNING:
        return Outcome.NEEDS_HUMAN, f"the transaction's end was not seen: {followed.trouble}"
    return Outcome.UNREACHABLE, f"after the start: {followed.trouble}"


def _evidence(
    before: Look, after: Look, followed: Followed, probes: tuple[ProbeResult, ...], reboots: int
) -> Evidence:
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
        log_tail=log[-LOG_TAIL:].decode(errors="replace"),
        reboots=reboots,
        reboot_reasons=new.reboot_reasons if new else (),
        probes=probes,
        second_look_at=after.at if new else None,
    )
