"""Take in what an approver answered: check it, write it down, whatever it is."""

from wavemend.approvals import Answer, Request, check, statement
from wavemend.errors import ApprovalRefused
from wavemend.execution.hands import Hands
from wavemend.fleet import Tenant
from wavemend.ledger import approvals, audit
from wavemend.ledger.approvals import OpenRequest
from wavemend.ledger.rollouts import Lease, get_rollout
from wavemend.signatures import Signer

PLAN_CHANGED = "the plan was changed after this request"


def ask(hands: Hands, lease: Lease, flow_run_id: str) -> OpenRequest:
    """Return the request that waits for an answer; write a new one when there is none.

    One over another plan than the present one is void: that is recorded before asking anew.
    """
    with hands.ledger.writing() as book:
        last = approvals.newest(book, lease.rollout_id)
        plan_digest = get_rollout(book, lease.rollout_id).plan_digest
        if last is not None and not approvals.answered(book, last.request.id):
            if last.request.plan_digest == plan_digest:
                # Somebody resumed, forced or restarted the run: an answer may follow, or not.
                audit.append(
                    book,
                    hands.clock(),
                    lease.owner,
                    "approval.run_returned",
                    lease.rollout_id,
                    request=last.request.id,
                    run=flow_run_id,
                )
                return last
            approvals.record(
                book,
                last.request,
                Answer(decision="", identity="", reason="", signature=""),
                statement="",
                signer=None,
                refusal=PLAN_CHANGED,
                now=hands.clock(),
            )
        return approvals.ask(
            book,
            lease,
            request_id=f"q-{hands.token()}",
            nonce=hands.token(),
            flow_run_id=flow_run_id,
            now=hands.clock(),
        )


def take_answer(
    hands: Hands, request: Request, answer: Answer, tenant: Tenant, requester: str
) -> str:
    """Record an answer; return why it does not count, or an empty text when it does."""
    signer, refusal, text = _judge(hands, request, answer, tenant, requester)
    with hands.ledger.writing() as book:
        row = get_rollout(book, request.rollout_id)
        if signer is not None and row.plan_digest != request.plan_digest:
            signer, refusal = None, PLAN_CHANGED
        approvals.record(
            book,
            request,
            answer,
            statement=text,
            signer=signer,
            refusal=refusal,
            now=hands.clock(),
        )
    return refusal


def _judge(
    hands: Hands, request: Request, answer: Answer, tenant: Tenant, requester: str
) -> tuple[Signer | None, str, str]:
    try:
        text = statement(request, answer.decision, answer.identity, answer.reason).decode()
    except ApprovalRefused as error:
        return None, str(error), ""
    try:
        signer = check(
            answer,
            request,
            signers_file=hands.signers_file,
            allowed=tenant.approvers,
            requester=requester,
            four_eyes=tenant.four_eyes,
            now=hands.clock(),
        )
    except ApprovalRefused as error:
        return None, str(error), text
    return signer, "", text
