"""The signature over a critical host's rollback, checked again in the moment of its intent."""

from wavemend.approvals import Answer, check
from wavemend.errors import ApprovalRefused
from wavemend.execution.hands import Hands
from wavemend.execution.order import Order
from wavemend.fleet import Tenant
from wavemend.ledger import rollback_approvals
from wavemend.rollbacks import RollbackCase, RollbackRequest


def approval_refusal(hands: Hands, order: Order, request: RollbackRequest) -> str:
    """Say why a host must not be taken back without another signature; empty when it may.

    By policy it needs none: the profile that says so is part of the fleet the plan was made, and
    approved, for.
    """
    if request.case is None:
        return ""
    if order.host.name not in {host.host for host in request.case.hosts}:
        return "the host is not part of what was asked for"
    if not (order.planned.critical or order.host.critical or request.critical):
        return ""
    if request.outside_window and not request.case.outside_window:
        return "approval: it was not asked for outside the maintenance window"
    return case_refusal(hands, request.case, order.tenant)


def case_refusal(hands: Hands, case: RollbackCase, tenant: Tenant) -> str:
    """Say why no signature over exactly this case counts now; empty when one does."""
    with hands.ledger.reading() as book:
        answers = rollback_approvals.answers(book, case.digest)
    if any(row.decision == "reject" for row, _ in answers):
        return "approval: rejected by the approver"
    reasons = []
    for row, asked in answers:
        answer = Answer(
            decision=row.decision,
            identity=row.identity,
            reason=row.reason,
            signature=row.signature,
        )
        try:
            check(
                answer,
                asked,
                signers_file=hands.signers_file,
                allowed=tenant.approvers,
                requester=case.requested_by,
                four_eyes=tenant.four_eyes,
                now=hands.clock(),
            )
        except ApprovalRefused as error:
            reasons.append(str(error))
        else:
            return ""
    return f"approval: {'; '.join(reasons) or 'no valid signature over this rollback'}"
