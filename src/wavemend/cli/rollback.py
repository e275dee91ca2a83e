"""`wavemend rollback`, `approve-rollback`, `reject-rollback`: say first, then ask or sign."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wavemend.approvals import Answer, check, sign, statement
from wavemend.cli.approvals import Key, Name, Reason, identity_of
from wavemend.cli.here import here, ledger_here, operator, prefect_here
from wavemend.cli.rollback_runs import start_rollback
from wavemend.cli.shown import add_row, say
from wavemend.cli.tables import plain_table, screen
from wavemend.errors import ApprovalRefused, PlanError, RolloutHalted
from wavemend.execution.hands import Hands
from wavemend.execution.rollback_approval import case_refusal
from wavemend.fleet import Fleet
from wavemend.ledger import approvals, rollback_approvals
from wavemend.ledger.intake import current_fleet
from wavemend.ledger.rollouts import stopped
from wavemend.rollbacks import RollbackCase
from wavemend.simulated import named
from wavemend.site import hands_of, utc_now
from wavemend.steps.roll_back import (
    Prospect,
    case_of,
    hosts_of,
    plan_to_take_back,
    prospects,
    rollout_of,
)


def rollback(
    target: Annotated[str, Parameter(help="A host; with --rollout also a wave.")],
    *,
    reason: Annotated[str, Parameter(help="Why, in one sentence; it is recorded.")],
    rollout: Annotated[str, Parameter(help="Needed for a wave; else the host's last one.")] = "",
    yes: Annotated[bool, Parameter(help="Do it; without it nothing is done.")] = False,
    outside_window: Annotated[
        bool, Parameter(help="Also while the maintenance window is closed; it is recorded.")
    ] = False,
    as_: Name = "",
) -> int:
    """Take a host, or a wave, of a finished rollout back to what it was before.

    Says first what is brought back, what not, and what would be lost. Critical hosts need an
    approver's signature over exactly this rollback.
    """
    ledger, requester = ledger_here(), as_ or operator()
    with ledger.reading() as book:
        fleet = current_fleet(book)
        plan = plan_to_take_back(book, rollout or rollout_of(book, target))
        hosts = hosts_of(book, plan, target)
        case = case_of(
            book,
            plan,
            hosts,
            requested_by=requester,
            reason=reason,
            outside_window=outside_window,
        )
        found = prospects(book, plan, hosts, fleet, utc_now())
        stop = stopped(book, plan.tenant)
    _show(case, found)
    if all(prospect.obstacle for prospect in found):
        raise PlanError(f"nothing of {target} can be taken back: {found[0].obstacle}")
    hands = hands_of(here(), ledger, fleet)
    if reason_not := stop or hands.local_stop():
        raise RolloutHalted(
            f"stopped: {reason_not}", hint=f"`wavemend go --tenant {plan.tenant}`, then again"
        )
    if not yes:
        say("nothing was done; --yes takes this back")
        return 0
    _need_signature(hands, fleet, case, found)
    run = start_rollback(
        prefect_here(),
        case.rollout,
        hosts,
        reason=reason,
        requester=requester,
        outside_window=outside_window,
    )
    say(f"`wavemend rollout show {case.rollout}` says what becomes of it; run {run}")
    return 0


def approve_rollback(request: str, *, key: Key, reason: Reason, as_: Name = "") -> int:
    """Sign for a rollback of critical hosts: shows it, signs it, records the approval."""
    case, identity = _answer(request, "approve", key, reason, as_)
    say(f"signed as {identity}; {case.requested_by} may repeat the rollback with --yes now")
    return 0


def reject_rollback(request: str, *, key: Key, reason: Reason, as_: Name = "") -> int:
    """Reject a rollback of critical hosts: no signature over it counts any more."""
    case, identity = _answer(request, "reject", key, reason, as_)
    say(f"rejected as {identity}; {case.requested_by} needs another reason to ask again")
    return 0


def _answer(
    request: str, decision: str, key: Path, reason: str, name: str
) -> tuple[RollbackCase, str]:
    """Show what is asked for, sign the decision and record it; raises when it does not count."""
    ledger = ledger_here()
    with ledger.reading() as book:
        fleet = current_fleet(book)
        asked, case = rollback_approvals.asked(book, request)
        plan = plan_to_take_back(book, case.rollout)
        hosts = tuple(host.host for host in case.hosts)
        found = prospects(book, plan, hosts, fleet, utc_now())
    _show(case, found)
    identity = name or identity_of(key)
    text = statement(asked, decision, identity, reason)
    say(text.decode())
    answer = Answer(
        decision=decision, identity=identity, reason=reason, signature=sign(text, Path(key))
    )
    tenant, signer, refusal = fleet.tenant(case.tenant), None, ""
    try:
        signer = check(
            answer,
            asked,
            signers_file=here().signers_file,
            allowed=tenant.approvers,
            requester=case.requested_by,
            four_eyes=tenant.four_eyes,
            now=utc_now(),
        )
    except ApprovalRefused as error:
        refusal = str(error)
    with ledger.writing() as book:
        approvals.record(
            book,
            asked,
            answer,
            statement=text.decode(),
            signer=signer,
            refusal=refusal,
            now=utc_now(),
        )
    if refusal:
        raise ApprovalRefused(refusal)
    return case, identity


def _show(case: RollbackCase, found: Sequence[Prospect]) -> None:
    """Print what comes back, what does not, and what is lost."""
    table = plain_table(f"To be taken back of {case.rollout}", ("Host", "Outcome", "By", "Note"))
    for prospect in found:
        critical = "critical" if prospect.critical else ""
        add_row(
            table, _called(prospect), prospect.outcome, prospect.kind, prospect.obstacle or critical
        )
    screen().print(table)
    if case.outside_window:
        say("also while the maintenance window is closed")
    for restores in sorted({prospect.restores for prospect in found}):
        say(f"brings back: {restores}")
    for prospect in found:
        if prospect.packages:
            say(f"{_called(prospect)}: {', '.join(prospect.packages)}")
        if prospect.stays:
            say(f"{_called(prospect)}: was new and may stay, unused: {', '.join(prospect.stays)}")
        if prospect.warning:
            say(f"{_called(prospect)}: {prospect.warning}")


def _called(prospect: Prospect) -> str:
    """Return what its host is called."""
    return named(prospect.host, simulated=prospect.simulated)


def _need_signature(
    hands: Hands, fleet: Fleet, case: RollbackCase, found: Sequence[Prospect]
) -> None:
    """Raise ApprovalRefused, after asking for a signature, where a critical host has none."""
    critical = [prospect.host for prospect in found if prospect.critical]
    if not critical:
        return
    refusal = case_refusal(hands, case, fleet.tenant(case.tenant))
    if not refusal:
        return
    with hands.ledger.writing() as book:
        asked = rollback_approvals.ask(
            book,
            case,
            request_id=f"q-{hands.token()}",
            nonce=hands.token(),
            actor=case.requested_by,
            now=hands.clock(),
        )
    raise ApprovalRefused(
        f"{', '.join(critical)}: {refusal}",
        hint=f"an approver runs `wavemend approve-rollback {asked.id} --key KEY --reason …`",
    )
