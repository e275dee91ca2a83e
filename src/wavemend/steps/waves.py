"""Gates, closing and verification: what happens between and after the hosts."""

from wavemend.execution import drift
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look_and_record
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollbacks, rollouts
from wavemend.ledger.rollouts import Lease
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.packages import Target
from wavemend.plans import Plan, PlannedWave
from wavemend.rollout import GateNumbers, judge_gate
from wavemend.steps.assess import Assessor, assess_look


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


def verify_host(hands: Hands, plan: Plan, host: Host, assessor: Assessor) -> tuple[Look, str]:
    """Look at a host once more, after everything; say what is not as the rollout left it.

    What it still lacks is ranked and written too: from here on it is what is known of the host.
    """
    scan_id, seen = look_and_record(hands, host, purpose="verify", rollout_id=plan.rollout)
    if seen.facts is None:
        return seen, f"{seen.reason}: {seen.detail}"
    assess_look(hands, assessor, host, scan_id, seen)
    wrong = [
        f"{target.name} is not {target.version}"
        for target in _left_at(hands, plan, host.name)
        if seen.facts.version_of(target.name, target.arch) != target.version
    ]
    if plan.host(host.name).repairs:
        wrong += [f"half done: {defect}" for defect in seen.facts.defects]
    return seen, ", ".join(wrong)


def _left_at(hands: Hands, plan: Plan, host: str) -> tuple[Target, ...]:
    """Return the versions a host was left at: the plan's, or the old ones if it was taken back."""
    planned = plan.host(host)
    with hands.ledger.reading() as book:
        row = attempts.find(book, plan.digest, host)
        back = rollbacks.newest_of(book, row.id) if row else None
    if back is None or back.outcome != Outcome.ROLLED_BACK:
        return planned.targets()
    return tuple(
        Target(name=package.name, arch=package.arch, version=package.installed)
        for package in planned.packages
        if package.installed  # what was new on the host may stay
    )
