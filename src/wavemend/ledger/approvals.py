"""Requests for approval and the answers to them, counted and refused."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from wavemend.approvals import Answer, Request
from wavemend.ledger import audit
from wavemend.ledger.rollouts import Lease, check_lease, get_rollout
from wavemend.ledger.tables import (
    ApprovalRequestRow,
    DecisionRow,
    RolloutRow,
)
from wavemend.signatures import Signer


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request that waits for an answer, and the key its pause in Prefect goes by."""

    request: Request
    asking: int
    pause_key: str


def ask(
    session: Session, lease: Lease, *, request_id: str, nonce: str, flow_run_id: str, now: datetime
) -> OpenRequest:
    """Write a new request over the rollout's plan. Each asking has a key of its own."""
    row = check_lease(session, lease)
    count = session.exec(select(func.count()).where(ApprovalRequestRow.rollout_id == row.id)).one()
    made = ApprovalRequestRow(
        id=request_id,
        rollout_id=row.id,
        plan_digest=row.plan_digest,
        asking=count + 1,
        nonce=nonce,
        asked_at=now,
        expires_at=row.last_start,
        flow_run_id=flow_run_id,
    )
    session.add(made)
    row.flow_run_id = flow_run_id
    audit.append(
        session, now, lease.owner, "approval.asked", row.id, plan=row.plan_digest, n=made.asking
    )
    return _open(made, row)


def newest(session: Session, rollout_id: str) -> OpenRequest | None:
    """Return the last request of a rollout, answered or not."""
    row = get_rollout(session, rollout_id)
    query = select(ApprovalRequestRow).where(ApprovalRequestRow.rollout_id == rollout_id)
    found = session.exec(query.order_by(col(ApprovalRequestRow.asking).desc())).first()
    return _open(found, row) if found else None


def request_of(session: Session, request_id: str) -> Request:
    """Return one request by its id, as it was asked."""
    row = session.get_one(ApprovalRequestRow, request_id)
    return _open(row, get_rollout(session, row.rollout_id)).request


def answered(session: Session, request_id: str) -> bool:
    """True when an answer to this request was recorded: counted or refused."""
    query = select(DecisionRow.id).where(DecisionRow.request_id == request_id)
    return session.exec(query).first() is not None


def record(
    session: Session,
    request: Request,
    answer: Answer,
    *,
    statement: str,
    signer: Signer | None,
    refusal: str,
    now: datetime,
) -> None:
    """Write an answer: with the signer when it counts, with the reason when it is refused."""
    session.add(
        DecisionRow(
            rollout_id=request.rollout_id,
            plan_digest=request.plan_digest,
            request_id=request.id,
            at=now,
            decision=answer.decision[:20],
            identity=answer.identity[:100],
            fingerprint=signer.fingerprint if signer else "",
            reason=answer.reason[:500],
            statement=statement,
            signature=answer.signature[:10_000],
            accepted=signer is not None,
            refusal=refusal,
        )
    )
    kind = f"approval.{answer.decision}" if signer else "approval.refused"
    audit.append(
        session,
        now,
        answer.identity or "somebody",
        kind,
        request.rollout_id,
        plan=request.plan_digest,
        fingerprint=signer.fingerprint if signer else "",
        reason=answer.reason[:500],
        refusal=refusal,
    )


def decisions(session: Session, rollout_id: str) -> tuple[DecisionRow, ...]:
    """Return every answer that ever came for a rollout, oldest first."""
    query = select(DecisionRow).where(DecisionRow.rollout_id == rollout_id)
    return tuple(session.exec(query.order_by(col(DecisionRow.id))))


def accepted_approvals(session: Session, plan_digest: str) -> tuple[DecisionRow, ...]:
    """Return the approvals that counted for exactly this plan."""
    query = select(DecisionRow).where(
        DecisionRow.plan_digest == plan_digest,
        DecisionRow.decision == "approve",
        col(DecisionRow.accepted).is_(True),
    )
    return tuple(session.exec(query.order_by(col(DecisionRow.id))))


def _open(row: ApprovalRequestRow, rollout: RolloutRow) -> OpenRequest:
    request = Request(
        id=row.id,
        rollout_id=row.rollout_id,
        tenant=rollout.tenant,
        plan_digest=row.plan_digest,
        nonce=row.nonce,
        expires_at=row.expires_at,
    )
    return OpenRequest(request, row.asking, f"gate-critical-{row.asking}")
