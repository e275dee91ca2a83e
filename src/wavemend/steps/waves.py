"""Gates, closing and verification: what happens between and after the hosts."""

from collections.abc import Sequence

from wavemend.execution import drift
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look_and_record
from wavemend.execution.probes import until_well
from wavemend.hosts import Facts, Host
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.ledger.tables import AttemptRow
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.packages import Target
from wavemend.plans import Plan, PlannedWave
from wavemend.policy.care import Probe
from wavemend.rollout import GateNumbers, judge_gate
from wavemend.steps.assess import Assessor, assess_look

_AGAIN_SECONDS = 15.0
"""A host that was patched well is not doubted for one connection or answer that failed."""


def decide_gate(hands: Hands, lease: Lease, wave: PlannedWave) -> GateNumbers:
    """Judge a gate on what the ledger holds, and write the decision in the same transaction."""
    with hands.ledger.writing() as book:
        numbers = judge_gate(wave, rollouts.read_view(book, lease.rollout_id))
        rollouts.record_gate(book, lease, wave, numbers, hands.clock())
    return numbers


def close(hands: Hands, lease: Lease, plan: Plan, hosts: tuple[str, ...], reason: str) -> None:
    """Start nothing further: each host left gets `not_attempted` with the reason."""
    with hands.ledger.writing() as book:
        for name in hosts:
            attempts.settle(
                book,
                lease,
                plan,
                name,
                attempt_id=f"a-{hands.token()}",
                outcome=Outcome.NOT_ATTEMPTED,
                reason=reason,
                packages=drift.untouched_results(plan.host(name), None),
                now=hands.clock(),
            )
        rollouts.record_step(book, lease, "closed", hands.clock(), detail=reason)


def probe_host(hands: Hands, plan: Plan, host: Host, probes: Sequence[Probe]) -> str:
    """Ask a host's probes again, some time after its change; say in one line which fail.

    Only of a host that was changed, and well then: any other one is no news. What is taken back
    was asked by its rollback.
    """
    with hands.ledger.reading() as book:
        row = attempts.find(book, plan.digest, host.name)
        if row is None or not row.touched or not row.outcome or not Outcome(row.outcome).is_good:
            return ""
        back = rollbacks.newest_of(book, row.id)
    if back is not None and back.outcome != Outcome.BLOCKED:
        return ""
    results = until_well(hands, host, probes, _AGAIN_SECONDS)
    said = ", ".join(f"probe {each.name}: {each.detail}" for each in results if not each.ok)
    return " ".join(said.split())


def verify_host(
    hands: Hands, plan: Plan, host: Host, assessor: Assessor, probes: Sequence[Probe]
) -> tuple[Look, str]:
    """Look at a host once more, after everything; say in one line what is not as it was left.

    What it still lacks is ranked and written too: from here on it is what is known of the host.
    """
    with hands.ledger.reading() as book:
        row = attempts.find(book, plan.digest, host.name)
    scan_id, seen = look_and_record(hands, host, purpose="verify", rollout_id=plan.rollout)
    if seen.facts is None and row and row.outcome and Outcome(row.outcome).is_good:
        hands.sleep(_AGAIN_SECONDS)
        scan_id, seen = look_and_record(hands, host, purpose="verify", rollout_id=plan.rollout)
    if seen.facts is None:
        # One line: what a host says must not read as the line of another one.
        return seen, " ".join(f"{seen.reason}: {seen.detail}".split())
    assess_look(hands, assessor, host, scan_id, seen)
    wrong = _differences(hands, plan, host.name, row, seen.facts)
    wrong += filter(None, [probe_host(hands, plan, host, probes)])
    return seen, " ".join(", ".join(wrong).split())


def _differences(
    hands: Hands, plan: Plan, host: str, row: AttemptRow | None, facts: Facts
) -> list[str]:
    wrong = []
    for target, left in _left_at(hands, plan, host, row):
        now = facts.version_of(target.name, target.arch)
        if now not in {left, target.version}:
            wrong.append(f"{target.name} is not {left or target.version}")
    if plan.host(host).repairs:
        wrong += [f"half done: {defect}" for defect in facts.defects]
    evidence = attempts.evidence_of(row) if row and row.outcome == Outcome.PATCHED else None
    kernels = {evidence.kernel_after, facts.newest_kernel} if evidence else set()
    if evidence and evidence.kernel_after and facts.running_kernel not in kernels:
        wrong.append(f"it runs {facts.running_kernel}, not {evidence.kernel_after} any more")
    return wrong


def _left_at(
    hands: Hands, plan: Plan, host: str, row: AttemptRow | None
) -> list[tuple[Target, str]]:
    """Return what a host was to have and the versions it was left at, by its attempt or rollback.

    A host that nothing was done to was left as it was. One that nobody saw after its change was to
    be at its targets. What builds alone prove has no version.
    """
    planned = plan.host(host)
    with hands.ledger.reading() as book:
        back = rollbacks.newest_of(book, row.id) if row else None
    if back is not None and back.outcome == Outcome.ROLLED_BACK:
        return [
            (
                Target(name=package.name, arch=package.arch, version=package.installed),
                package.installed,
            )
            for package in planned.packages
            if package.installed  # what was new on the host may stay
        ]
    results = attempts.packages_of(row) if row else ()
    seen = {
        (result.name, result.arch): result.after
        for result in results
        if result.after or result.outcome is PackageOutcome.INSTALLED
    }
    return [
        (target, seen.get((target.name, target.arch), target.version))
        for target in planned.targets()
    ]
