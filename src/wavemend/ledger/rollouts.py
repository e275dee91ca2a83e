"""Rollouts, their leases, plans, steps, waves and gates."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from wavemend.calendar.windows import Occurrence
from wavemend.documents import to_data
from wavemend.errors import LedgerConflict, LedgerError
from wavemend.fleet import RolloutKey
from wavemend.ledger import audit
from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.host_lines import unwell_before_gates
from wavemend.ledger.journals import next_fence
from wavemend.ledger.planned_hosts import copy_hosts
from wavemend.ledger.tables import (
    AttemptRow,
    DecisionRow,
    GateRow,
    PlanRow,
    RolloutRow,
    StepRow,
    SwitchRow,
    WaveRow,
)
from wavemend.outcomes import Outcome
from wavemend.plans import Plan, PlannedWave, load_plan
from wavemend.rollout import AttemptState, AttemptView, GateNumbers, RolloutView, Standing

LEASE = timedelta(seconds=45)
"""How long a silent owner keeps a rollout; it is renewed three times within that."""

OPEN, FINISHED = "open", "finished"
HALTED = "halted"
"""Step of a rollout that stopped itself; its detail says why. See `losses.py`."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for a rollout. A newer lease has a higher fence; the older one is void."""

    rollout_id: str
    owner: str
    fence: int


def open_rollout(
    session: Session,
    rollout_id: str,
    key: RolloutKey,
    occurrence: Occurrence,
    *,
    requester: str,
    now: datetime,
) -> RolloutRow:
    """Return the rollout of this key and occurrence; create it once, never a second one."""
    if found := of_opening(session, key, occurrence):
        return found
    text = _text_of(key, occurrence)
    row = RolloutRow(
        id=rollout_id,
        key=text,
        tenant=key.tenant,
        profile=key.profile,
        window=key.window,
        kind=key.kind,
        window_start=occurrence.start,
        window_end=occurrence.end,
        last_start=occurrence.last_start,
        requester=requester,
        state=OPEN,
        created_at=now,
    )
    session.add(row)
    audit.append(session, now, requester, "rollout.opened", rollout_id, key=text)
    return row


def of_opening(session: Session, key: RolloutKey, occurrence: Occurrence) -> RolloutRow | None:
    """Return the rollout of this key and occurrence: there is never a second one."""
    query = select(RolloutRow).where(RolloutRow.key == _text_of(key, occurrence))
    return session.exec(query).first()


def _text_of(key: RolloutKey, occurrence: Occurrence) -> str:
    return f"{key}/{occurrence.start.isoformat()}"


def unfinished_of(session: Session, key: RolloutKey) -> RolloutRow | None:
    """Return the oldest rollout of this key that is not finished, whatever its occurrence."""
    query = select(RolloutRow).where(
        # The text of the key: patches and restarts of the same hosts are two rollouts.
        col(RolloutRow.key).startswith(f"{key}/", autoescape=True),
        RolloutRow.state == OPEN,
    )
    return session.exec(query.order_by(col(RolloutRow.created_at))).first()


def get_rollout(session: Session, rollout_id: str) -> RolloutRow:
    """Return a rollout. Raises LedgerError when there is none of that id."""
    row = session.get(RolloutRow, rollout_id)
    if row is None:
        raise LedgerError(
            f"there is no rollout {rollout_id}", hint="`wavemend rollout list` shows them"
        )
    return row


def list_rollouts(session: Session, *, only_open: bool = False) -> tuple[RolloutRow, ...]:
    """Return the rollouts, newest first."""
    query = select(RolloutRow).order_by(col(RolloutRow.created_at).desc(), col(RolloutRow.id))
    if only_open:
        query = query.where(RolloutRow.state == OPEN)
    return tuple(session.exec(query))


def note_run(session: Session, rollout_id: str, flow_run_id: str) -> None:
    """Note which of Prefect's runs works for a rollout, so that nobody starts another one."""
    get_rollout(session, rollout_id).flow_run_id = flow_run_id


def take_lease(
    session: Session, rollout_id: str, owner: str, now: datetime, *, owner_is_dead: bool
) -> Lease:
    """Become the one who acts for a rollout. Raises LedgerConflict while somebody else does.

    `owner_is_dead`: the caller has proof that the present owner's process is gone.
    """
    row = get_rollout(session, rollout_id)
    held = row.lease_owner not in {"", owner}
    if held and not owner_is_dead and row.lease_until is not None and now < row.lease_until:
        raise LedgerConflict(
            f"the rollout {rollout_id} is being run by {row.lease_owner}",
            hint=f"its lease ends at {row.lease_until:%H:%M:%S} UTC unless it is renewed",
        )
    row.fence = next_fence(session)
    row.lease_owner, row.lease_until = owner, now + LEASE
    audit.append(session, now, owner, "rollout.lease_taken", rollout_id, fence=row.fence)
    return Lease(rollout_id, owner, row.fence)


def renew_lease(session: Session, lease: Lease, now: datetime) -> None:
    """Keep a rollout. Raises LedgerConflict when a newer owner has taken it."""
    row = check_lease(session, lease)
    row.lease_until = now + LEASE


def release_lease(session: Session, lease: Lease) -> None:
    """Give a rollout back, if it is still ours."""
    row = get_rollout(session, lease.rollout_id)
    if row.fence == lease.fence:
        row.lease_owner, row.lease_until = "", None


def check_lease(session: Session, lease: Lease) -> RolloutRow:
    """Return the rollout if the lease still holds. The older owner stops here."""
    row = get_rollout(session, lease.rollout_id)
    if row.fence != lease.fence:
        raise LedgerConflict(
            f"the rollout {lease.rollout_id} was taken over by {row.lease_owner or 'another run'}",
            hint="this run stops; the newer one goes on",
        )
    return row


def store_plan(session: Session, lease: Lease, plan: Plan, now: datetime) -> None:
    """Freeze the plan of a rollout: once, for good. Its hosts become rows, excluded ones too."""
    row = check_lease(session, lease)
    if row.plan_digest:
        raise LedgerConflict(f"the rollout {row.id} has a plan already")
    session.add(
        PlanRow(digest=plan.digest, rollout_id=row.id, created_at=now, document=plan.document())
    )
    row.plan_digest = plan.digest
    copy_hosts(session, plan)
    summary = {wave.name: list(wave.hosts) for wave in plan.waves}
    audit.append(
        session, now, lease.owner, "plan.frozen", row.id, digest=plan.digest, waves=summary
    )


def read_plan(session: Session, rollout_id: str) -> Plan | None:
    """Return the frozen plan of a rollout, or None when there is none yet."""
    row = get_rollout(session, rollout_id)
    if not row.plan_digest:
        return None
    stored = session.get(PlanRow, row.plan_digest)
    if stored is None:
        raise LedgerError(f"the plan {row.plan_digest} of rollout {rollout_id} is missing")
    return load_plan(stored.document, row.plan_digest)


def read_view(session: Session, rollout_id: str) -> RolloutView:
    """Return what the ledger says about a rollout, all at one moment."""
    row = get_rollout(session, rollout_id)
    # Not the rows: each carries its packages and evidence, and this is asked for every second.
    attempts = session.exec(
        select(AttemptRow.host, AttemptRow.state, AttemptRow.outcome, AttemptRow.ended_at).where(
            AttemptRow.rollout_id == rollout_id
        )
    )
    silent = select(AttemptRow.host, AttemptRow.lost_since).where(
        AttemptRow.rollout_id == rollout_id, col(AttemptRow.lost_since).is_not(None)
    )
    lost = dict(session.exec(silent).all())
    back = select(RollbackRow.host, RollbackRow.ended_at).where(
        RollbackRow.rollout_id == rollout_id,
        # One that was refused has changed nothing.
        RollbackRow.outcome != Outcome.BLOCKED,
    )
    rollbacks = session.exec(back).all()
    taken_back = frozenset(host for host, ended_at in rollbacks if ended_at)
    going_back = frozenset(host for host, ended_at in rollbacks if not ended_at)
    gates = tuple(session.exec(select(GateRow).where(GateRow.rollout_id == rollout_id)))
    notes = select(StepRow.step, StepRow.detail).where(StepRow.rollout_id == rollout_id)
    steps = dict(session.exec(notes).all())
    unwell = unwell_before_gates(steps)
    return RolloutView(
        attempts={
            host: AttemptView(
                state=AttemptState(state),
                outcome=Outcome(outcome) if outcome else None,
                ended_at=ended_at,
                lost_at=lost.get(host) or (ended_at if outcome == Outcome.UNREACHABLE else None),
                taken_back=host in taken_back,
                going_back=host in going_back,
                unwell=unwell.get(host, ""),
            )
            for host, state, outcome, ended_at in attempts
        },
        gates={gate.wave: gate.passed for gate in gates},
        gate_reasons={gate.wave: gate.reason for gate in gates},
        steps=frozenset(steps),
        standing=standing(session, rollout_id, row.plan_digest),
        stopped=stopped(session, row.tenant),
        halted=steps.get(HALTED, ""),
    )


def standing(session: Session, rollout_id: str, plan_digest: str) -> Standing:
    """Where the approval of exactly this plan stands; a rejection overrides every approval."""
    decisions = session.exec(
        select(DecisionRow.decision).where(
            DecisionRow.rollout_id == rollout_id,
            DecisionRow.plan_digest == plan_digest,
            col(DecisionRow.accepted).is_(True),
        )
    )
    known = set(decisions)
    if "reject" in known:
        return Standing.REJECTED
    return Standing.APPROVED if "approve" in known else Standing.NONE


def stopped(session: Session, tenant: str) -> str:
    """Return why new starts are stopped, for everybody or for this tenant; empty when not."""
    rows = session.exec(select(SwitchRow).where(col(SwitchRow.tenant).in_(["", tenant])))
    reasons = sorted(f"{row.reason} (by {row.actor})" for row in rows if row.engaged)
    return "; ".join(reasons)


def engaged_switches(session: Session) -> tuple[SwitchRow, ...]:
    """Return the switches that stop something now, the one for all companies first."""
    query = select(SwitchRow).where(col(SwitchRow.engaged).is_(True))
    return tuple(session.exec(query.order_by(col(SwitchRow.tenant))))


def turn_switch(
    session: Session, tenant: str, *, engaged: bool, actor: str, reason: str, now: datetime
) -> None:
    """Engage or release the kill switch: for one tenant, or for all with an empty name."""
    session.merge(SwitchRow(tenant=tenant, engaged=engaged, actor=actor, reason=reason, at=now))
    kind = "switch.engaged" if engaged else "switch.released"
    audit.append(session, now, actor, kind, tenant or "all tenants", reason=reason)


def record_step(
    session: Session, lease: Lease, step: str, now: datetime, *, detail: str = ""
) -> None:
    """Note that a phase is done. A second note of the same phase changes nothing."""
    check_lease(session, lease)
    if session.get(StepRow, (lease.rollout_id, step)) is None:
        session.add(StepRow(rollout_id=lease.rollout_id, step=step, at=now, detail=detail))
        audit.append(session, now, lease.owner, f"rollout.{step}", lease.rollout_id, detail=detail)


def detail_of(session: Session, rollout_id: str, step: str) -> str:
    """Return what was noted with a phase; empty when it is not done."""
    row = session.get(StepRow, (rollout_id, step))
    return row.detail if row else ""


def begin_wave(session: Session, lease: Lease, wave: PlannedWave, now: datetime) -> None:
    """Note the first start of a wave."""
    check_lease(session, lease)
    if session.get(WaveRow, (lease.rollout_id, wave.number)) is None:
        session.add(
            WaveRow(rollout_id=lease.rollout_id, number=wave.number, name=wave.name, started_at=now)
        )
        audit.append(session, now, lease.owner, "wave.begun", lease.rollout_id, wave=wave.name)


def record_gate(
    session: Session, lease: Lease, wave: PlannedWave, numbers: GateNumbers, now: datetime
) -> None:
    """Write a gate's decision: once. A second judgement of the same gate changes nothing."""
    check_lease(session, lease)
    if session.get(GateRow, (lease.rollout_id, wave.number)) is not None:
        return
    row = GateRow(
        rollout_id=lease.rollout_id,
        wave=wave.number,
        passed=numbers.passed,
        reason=numbers.reason,
        observed=numbers.observed,
        good=numbers.good,
        errors=numbers.errors,
        at=now,
    )
    session.add(row)
    audit.append(
        session,
        now,
        lease.owner,
        "gate.passed" if numbers.passed else "gate.failed",
        lease.rollout_id,
        wave=wave.name,
        numbers=to_data(numbers),
    )


def finish_rollout(session: Session, lease: Lease, reason: str, now: datetime) -> None:
    """End a rollout: nothing is started for it any more."""
    row = check_lease(session, lease)
    if row.state != FINISHED:
        row.state, row.reason, row.ended_at = FINISHED, reason, now
        audit.append(session, now, lease.owner, "rollout.finished", row.id, reason=reason)


def judge_again(session: Session, lease: Lease, reason: str, now: datetime) -> None:
    """Renew what a finished rollout came to: hosts of it were taken back since."""
    row = check_lease(session, lease)
    if row.state == FINISHED and row.reason != reason:
        row.reason = reason
        audit.append(session, now, lease.owner, "rollout.judged_again", row.id, reason=reason)
