"""The form an approver fills in, and what is done with what comes back.

Resuming is not approving: whatever resumed the run, the answer is checked and recorded, and a
bare resume comes back to the same place.
"""

from typing import Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.input import RunInput
from pydantic import Field

from tasks.workbench import Running
from wavemend.approvals import Answer, statement
from wavemend.ledger.approvals import OpenRequest, decisions
from wavemend.plans import Plan
from wavemend.steps.decide import ask, take_answer


class PatchApproval(RunInput):
    """A signed decision over exactly this plan. Nothing has a default: nothing is pre-chosen."""

    decision: Literal["approve", "reject"] = Field(
        description="What you decide for the critical hosts of this plan."
    )
    approver: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$",
        description="Your name, as it stands in the list of signers.",
    )
    reason: str = Field(
        min_length=3, max_length=500, pattern=r"^\S.*\S$", description="Why, in one sentence."
    )
    signature: str = Field(
        min_length=50,
        max_length=10_000,
        pattern=r"BEGIN SSH SIGNATURE",
        description="Your SSH signature over the statement of this request "
        "(`wavemend approve … --print` makes it).",
    )


@task(task_run_name="ask for approval", cache_policy=NO_CACHE)
def ask_approval(running: Running, flow_run_id: str) -> OpenRequest:
    """Write the request that waits for an answer, or find the one that already does."""
    found = ask(running.bench.hands, running.lease, flow_run_id)
    get_run_logger().info("request %s: waiting for an approver", found.request.id)
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
    log = get_run_logger()
    if refusal:
        log.warning("REFUSED: %s; nothing was changed", refusal)
    else:
        log.info("%s by %s", answer.decision, answer.identity)
    return refusal


def explain(plan: Plan, asked: OpenRequest, refusal: str) -> str:
    """Return the text of the form: exactly what is asked, and how to answer."""
    lines = []
    if refusal:
        lines += [f"**The last answer did not count:** {_plain(refusal)}", ""]
    lines += [
        f"**{plan.tenant} · {plan.profile} · {plan.window}** asks before its critical hosts.",
        "",
        f"- plan `{plan.digest}`",
        f"- rollout `{plan.rollout}`",
        f"- answer before **{asked.request.expires_at:%Y-%m-%d %H:%M} UTC**; "
        "without a valid signature nothing is changed",
        "",
    ]
    for wave in plan.waves:
        if wave.kind != "critical":
            continue
        for name in wave.hosts:
            lines += _host_lines(plan, name)
    example = statement(asked.request, "approve", "YOU", "WHY").decode()
    lines += [
        "",
        "Sign and answer in one step:",
        "",
        f"    wavemend approve {plan.rollout} --key ~/.ssh/id_ed25519 --reason 'WHY'",
        "",
        "or sign this text yourself (`ssh-keygen -Y sign -n patch-approval -f KEY`) and paste "
        "the signature:",
        "",
        *[f"    {line}" for line in example.splitlines()],
    ]
    return "\n".join(lines)


def _host_lines(plan: Plan, name: str) -> list[str]:
    host = plan.host(name)
    told = "SIMULATED " if host.simulated else ""
    lines = [f"**{told}{name}** ({host.address}), reboot: {host.reboot}", ""]
    for package in host.packages:
        risk = f", {len(package.cves)} CVEs" if package.cves else ""
        lines.append(
            f"- `{package.name}` {package.installed} → {package.target} ({package.lane}{risk})"
        )
    lines += [f"- `{left.name}` stays: {_plain(left.reason)}" for left in host.left_out]
    return [*lines, ""]


def _plain(text: str) -> str:
    """Keep words of hosts and strangers from becoming markup in the form."""
    return "".join(sign if sign.isalnum() or sign in " .,:;/()='%+-@" else " " for sign in text)
