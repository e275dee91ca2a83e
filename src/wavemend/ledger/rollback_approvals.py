"""Askings for a signature over a rollback of critical hosts, kept as those over plans are."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from wavemend.approvals import Request
from wavemend.documents import from_document, sha256, to_document
from wavemend.errors import LedgerError
from wavemend.ledger import audit
from wavemend.ledger.rollouts import get_rollout
from wavemend.ledger.tables import ApprovalRequestRow, DecisionRow, PlanRow, RolloutRow
from wavemend.rollbacks import RollbackCase

VALID = timedelta(hours=4)
"""How long a signature counts: a rollback is wanted now or not at all."""


def ask(
    session: Session, case: RollbackCase, *, request_id: str, nonce: str, actor: str, now: datetime
) -> Request:
    """Return the request over exactly this case; write one when none is open."""
    newest = select(ApprovalRequestRow).where(ApprovalRequestRow.plan_digest == case.digest)
    found = session.exec(newest.order_by(col(ApprovalRequestRow.asking).desc())).first()
    if found is not None and now <= found.expires_at:
        return _request(session, found)
    if session.get(PlanRow, case.digest) is None:
        session.add(
            PlanRow(
                digest=case.digest,
                rollout_id=case.rollout,
                created_at=now,
                document=to_document(case),
            )
        )
    query = select(func.count()).where(ApprovalRequestRow.rollout_id == case.rollout)
    row = ApprovalRequestRow(
        id=request_id,
        rollout_id=case.rollout,
        plan_digest=case.digest,
        asking=session.exec(query).one() + 1,
        nonce=nonce,
        asked_at=now,
        expires_at=now + VALID,
    )
    session.add(row)
    hosts = [host.host for host in case.hosts]
    audit.append(
        session,
        now,
        actor,
        "rollback.asked",
        case.rollout,
        case=case.digest,
        hosts=hosts,
        id=row.id,
    )
    return _request(session, row)


def asked(session: Session, request_id: str) -> tuple[Request, RollbackCase]:
    """Return a request and the case it is over. Raises LedgerError when there is none such."""
    row = session.get(ApprovalRequestRow, request_id)
    stored = session.get(PlanRow, row.plan_digest) if row else None
    if row is None or stored is None or row.plan_digest == _plan_of(session, row.rollout_id):
        raise LedgerError(
            f"there is no request {request_id} for a rollback",
            hint="`wavemend rollback HOST` of a critical host prints it",
        )
    if sha256(stored.document) != row.plan_digest:
        raise LedgerError(
            f"the rollback that {request_id} asks for was changed",
            hint="the ledger was changed from outside; run `wavemend audit verify`",
        )
    return _request(session, row), from_document(RollbackCase, stored.document)


def waiting(session: Session, now: datetime) -> tuple[tuple[Request, RollbackCase], ...]:
    """Return the requests that may still be answered and have no answer that counts, by expiry."""
    counted = select(DecisionRow.request_id).where(col(DecisionRow.accepted).is_(True))
    query = (
        select(ApprovalRequestRow.id)
        .join(RolloutRow, col(RolloutRow.id) == ApprovalRequestRow.rollout_id)
        .where(
            ApprovalRequestRow.plan_digest != RolloutRow.plan_digest,
            col(ApprovalRequestRow.expires_at) >= now,
            col(ApprovalRequestRow.id).not_in(counted),
        )
    )
    ordered = query.order_by(col(ApprovalRequestRow.expires_at), col(ApprovalRequestRow.id))
    return tuple(asked(session, request) for request in session.exec(ordered))


def asked_for(session: Session, rollout_id: str, now: datetime) -> frozenset[str]:
    """Return the hosts of a rollout that may be taken back by a request which has not expired.

    Answered or not: a signature counts until then. One that was rejected counts no more.
    """
    rejected = select(DecisionRow.plan_digest).where(
        DecisionRow.rollout_id == rollout_id,
        DecisionRow.decision == "reject",
        col(DecisionRow.accepted).is_(True),
    )
    query = select(ApprovalRequestRow.id).where(
        ApprovalRequestRow.rollout_id == rollout_id,
        ApprovalRequestRow.plan_digest != _plan_of(session, rollout_id),
        col(ApprovalRequestRow.expires_at) >= now,
        col(ApprovalRequestRow.plan_digest).not_in(rejected),
    )
    cases = (asked(session, request)[1] for request in session.exec(query))
    return frozenset(host.host for case in cases for host in case.hosts)


def answers(session: Session, case_digest: str) -> tuple[tuple[DecisionRow, Request], ...]:
    """Return the decisions over exactly this case that counted, each with what it answered."""
    query = select(DecisionRow).where(
        DecisionRow.plan_digest == case_digest, col(DecisionRow.accepted).is_(True)
    )
    rows = session.exec(query.order_by(col(DecisionRow.id)))
    return tuple(
        (row, _request(session, session.get_one(ApprovalRequestRow, row.request_id)))
        for row in rows
    )


def _request(session: Session, row: ApprovalRequestRow) -> Request:
    return Request(
        id=row.id,
        rollout_id=row.rollout_id,
        tenant=get_rollout(session, row.rollout_id).tenant,
        plan_digest=row.plan_digest,
        nonce=row.nonce,
        expires_at=row.expires_at,
        what="rollback",
    )


def _plan_of(session: Session, rollout_id: str) -> str:
    return get_rollout(session, rollout_id).plan_digest
