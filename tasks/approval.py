"""The form an approver fills in, and what is done with what comes back.

Resuming is not approving: whatever resumed the run, the answer is checked and recorded, and a
bare resume comes back to the same place.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.input import RunInput
from pydantic import Field

from tasks.run_log import run_log
from tasks.show import code, cves_shown, plain
from tasks.workbench import Running
from wavemend.approvals import Answer, statement
from wavemend.errors import PlanError
from wavemend.execution.restore_points import snapshotter
from wavemend.ledger import rollouts
from wavemend.ledger.approvals import OpenRequest, decisions
from wavemend.plans import ExcludedHost, Plan, PlannedHost, PlannedPackage
from wavemend.policy.care import RestorePointRule
from wavemend.reports.text import counted
from wavemend.reports.verdict import outcome_words
from wavemend.simulated import SIMULATED
from wavemend.steps.decide import ask, take_answer


class PatchApproval(RunInput):
    """A signed decision over exactly this plan. Nothing has a default: nothing is pre-chosen."""

    decision: Literal["approve", "reject"] = Field(
        description="What you decide for the critical hosts named above. The arrow-down key "
        "opens the list too."
    )
    approver: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$",
        description="Your name in the list of signers: the one that was signed.",
    )
    reason: str = Field(
        min_length=3,
        max_length=500,
        pattern=r"^\S.*\S$",
        description="Why, in one sentence: word for word the one that was signed.",
    )
    # No pattern here: an answer without a signature is to reach us, and to be recorded as refused.
    signature: str = Field(
        max_length=10_000,
        description="The whole block that `wavemend approve … --print` printed, its BEGIN and "
        "END lines included.",
    )


@task(task_run_name="ask for approval", cache_policy=NO_CACHE)
def ask_approval(running: Running, flow_run_id: str) -> OpenRequest:
    """Write the request that waits for an answer, or find the one that already does."""
    found = ask(running.bench.hands, running.lease, flow_run_id)
    run_log().info("request %s: waiting for an approver", found.request.id)
    return found


def last_refusal(running: Running) -> str:
    """Return why the last answer did not count; empty when there was none."""
    with running.bench.hands.ledger.reading() as book:
        known = decisions(book, running.plan.rollout)
    return known[-1].refusal if known else ""


@task(task_run_name="check answer {asked.asking}", cache_policy=NO_CACHE)
def check_answer(running: Running, asked: OpenRequest, given: PatchApproval | None) -> str:
    """Record an answer; return why it does not count, or an empty text when it does."""
    answer = Answer(
        decision=given.decision if given else "",
        identity=given.approver if given else "",
        reason=given.reason if given else "",
        signature=given.signature if given else "",
    )
    refusal = take_answer(
        running.bench.hands, asked.request, answer, running.tenant, running.plan.requester
    )
    log = run_log()
    if refusal:
        log.warning("REFUSED: %s; nothing was changed", refusal)
    else:
        log.info("%s by %s", answer.decision, answer.identity)
    return refusal


def so_far(running: Running) -> tuple[str, ...]:
    """Return what became of the waves before, as the ledger has it, and what could be restored."""
    plan = running.plan
    with running.bench.hands.ledger.reading() as book:
        view = rollouts.read_view(book, plan.rollout)
    lines = []
    for wave in plan.waves:
        seen = {name: view.attempts[name] for name in wave.hosts if name in view.attempts}
        if wave.kind == "critical" or not seen:
            continue
        counts = Counter(outcome_words(attempt.outcome) for attempt in seen.values())
        told = ", ".join(f"{count} {words}" for words, count in sorted(counts.items()))
        lines.append(f"{wave.name}: {told}")
        lines += [
            f"{_named(plan.host(name))}: not well any more: {each.unwell}"
            for name, each in seen.items()
            if each.unwell
        ]
    lines += [f"{_named(left)}: {outcome_words(left.outcome)}" for left in plan.excluded]
    return (*lines, *way_back(plan, running.bench.fleet.profile(plan.profile).restore_point))


def way_back(plan: Plan, rule: RestorePointRule) -> tuple[str, ...]:
    """Say what could be restored on the critical hosts: their points are made after the answer."""
    if not any(plan.needs_signature(h.name) and h.changes_packages for h in plan.hosts):
        return ()
    try:
        restores = snapshotter(rule).restores
    except PlanError as error:
        restores = str(error)
    without = "blocked" if rule.required else "changed all the same"
    return (
        "to go back on critical hosts: a restore point is made after the approval, before the "
        f"change ({restores}); without it a host is {without}",
    )


def explain(plan: Plan, asked: OpenRequest, refusal: str, known: Sequence[str] = ()) -> str:
    """Return the text of the form: what is asked, how to answer, and exactly what would change.

    Everything that must be compared sign by sign stands in code spans: the form's markdown
    strikes out what stands between two tildes, and Debian's versions have them.
    """
    critical = [
        plan.host(name) for wave in plan.waves for name in wave.hosts if plan.needs_signature(name)
    ]
    lines = [f"**The last answer did not count:** {plain(refusal)}", ""] if refusal else []
    names = ", ".join(_named(host) for host in critical)
    lines += [
        f"**{plan.tenant} · {plan.profile} · {plan.window}** waits before **{names}**. Answer "
        f"before **{asked.request.expires_at:%Y-%m-%d %H:%M} UTC**. "
        "Without a valid signature nothing is changed there.",
        "",
        f"Plan {_halves(plan.digest)}",
        "",
        *[f"- {plain(line)}" for line in known],
        "",
        "**To answer**, sign this plan; then copy name, reason and signature into the fields:",
        "",
        f"    wavemend approve {plan.rollout} --print \\",
        "      --key ~/.ssh/id_ed25519 --reason 'WHY'",
        "",
        "Without `--print` it answers by itself. `reject` works the same way.",
        "",
    ]
    for host in critical:
        lines += _host_lines(host)
    return "\n".join(lines + _by_hand(asked))


def _host_lines(host: PlannedHost) -> list[str]:
    if host.repairs:
        return [
            f"**{_named(host)}** ({code(host.address)}): the package manager's repair, which "
            f"brings no version in; restart {host.reboot.replace('_', ' ')}",
            "",
            *[f"- half done: {code(defect)}" for defect in host.repairs],
            "",
        ]
    if not host.changes_packages:
        return [f"**{_named(host)}** ({code(host.address)}): no package, it is only restarted", ""]
    cves = len({cve for package in host.packages for cve in package.cves})
    lanes = Counter(package.lane for package in host.packages)
    told = ", ".join(f"{count} {lane}" for lane, count in sorted(lanes.items()))
    exposed = ", exposed" if host.exposed else ""
    dues = [package.due for package in host.packages if package.due]
    due = f", first due {min(dues):%Y-%m-%d}" if dues else ""
    lines = [
        f"**{_named(host)}** ({code(host.address)}{exposed}): "
        f"{counted(len(host.packages), 'package')} ({told}){due}, {counted(cves, 'CVE')}, "
        f"restart {host.reboot.replace('_', ' ')}",
        "",
        *[_package_line(package) for package in host.packages],
        *[
            f"- {code(left.name)}{f' {plain(left.title)}' if left.title else ''} stays: "
            f"{plain(left.reason)}"
            for left in host.left_out
        ],
    ]
    return [*lines, ""]


def _package_line(package: PlannedPackage) -> str:
    risk = f", {cves_shown(package.cves)}" if package.cves else ""
    change = f"{code(package.installed)} → {code(package.target)}"
    if package.title:
        change = f"{plain(package.title)} {code(package.target)}"
    return f"- **{plain(package.name)}** {change} {package.lane}{risk}"


def _by_hand(asked: OpenRequest) -> list[str]:
    example = statement(asked.request, "approve", "YOU", "WHY").decode()
    return [
        "To sign without wavemend: this text, with your name and reason, each line ended, "
        "through `ssh-keygen -Y sign -n patch-approval -f KEY`:",
        "",
        *[f"    {line}" for line in example.splitlines()],
    ]


def _halves(digest: str) -> str:
    """Write a digest so that it breaks into two lines instead of running out of the form."""
    middle = len("sha256:") + 32
    return f"{code(digest[:middle])} {code(digest[middle:])}"


def _named(host: PlannedHost | ExcludedHost) -> str:
    return f"{SIMULATED} {host.name}" if host.simulated else host.name
