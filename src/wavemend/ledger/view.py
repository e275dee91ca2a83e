"""The ledger as one company sees it: every statement of a session is cut down to its rows.

A view hides, it does not protect: whoever can open the database file can read all of it. See
docs/how-to/serve-many-companies.md.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, event, exists, or_
from sqlalchemy import select as select_columns
from sqlalchemy.engine import Connection
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlmodel import Session, SQLModel, col

from wavemend.errors import LedgerError
from wavemend.fleet import Fleet
from wavemend.ledger.care_tables import (
    AttemptStepRow,
    FenceFloorRow,
    HostMachineRow,
    JournalEntryRow,
    ReadinessRow,
    RestorePointRow,
    RollbackRow,
)
from wavemend.ledger.judgement_tables import (
    AnnouncementRow,
    AssessmentRow,
    FirstSightingRow,
    JudgedHostRow,
    OpenFindingRow,
)
from wavemend.ledger.night_tables import NightOverrideRow, NightRow
from wavemend.ledger.plan_tables import PlannedHostRow
from wavemend.ledger.tables import (
    ApprovalRequestRow,
    AttemptRow,
    AuditEventRow,
    DecisionRow,
    FeedSnapshotRow,
    FleetRevision,
    GateRow,
    HostScan,
    PlanRow,
    RolloutRow,
    StepRow,
    SwitchRow,
    WaveRow,
)
from wavemend.tenant_view import view_of

Criterion = Callable[[Any, str], ColumnElement[bool]]
"""From a table and a company: which of its rows the company may see."""

_TENANT = "wavemend_tenant"
_SEEN = "wavemend_seen"


def _own(table: Any, tenant: str) -> ColumnElement[bool]:
    return col(table.tenant) == tenant


def _of_rollout(table: Any, tenant: str) -> ColumnElement[bool]:
    return col(table.rollout_id).in_(_rollouts(tenant))


def _of_attempt(table: Any, tenant: str) -> ColumnElement[bool]:
    attempts = AttemptRow.__table__.c  # type: ignore[attr-defined]
    mine = select_columns(attempts.id).where(attempts.rollout_id.in_(_rollouts(tenant)))
    return col(table.attempt_id).in_(mine)


def _of_host(table: Any, tenant: str) -> ColumnElement[bool]:
    """Rows of a host belong to the company it was in when it was looked at last.

    They name no company themselves. Whose host moves takes them along: its due dates go on.
    """
    scans = HostScan.__table__.alias()  # type: ignore[attr-defined]
    later = HostScan.__table__.alias()  # type: ignore[attr-defined]
    moved = exists().where(later.c.host == scans.c.host, later.c.id > scans.c.id)
    mine = select_columns(scans.c.host).where(scans.c.tenant == tenant, ~moved)
    return col(table.host).in_(mine)


def _own_or_everybodys(table: Any, tenant: str) -> ColumnElement[bool]:
    return or_(col(table.tenant) == tenant, col(table.tenant) == "")


def _rollouts(tenant: str) -> Select[Any]:
    rollouts = RolloutRow.__table__.c  # type: ignore[attr-defined]
    return select_columns(rollouts.id).where(rollouts.tenant == tenant)


VISIBLE: Mapping[type[SQLModel], Criterion | None] = {
    # Feeds are everybody's; fleets are cut down by `seen`; the chain of events is written by all,
    # and no command of a view shows it.
    FeedSnapshotRow: None,
    FleetRevision: None,
    AuditEventRow: None,
    FenceFloorRow: None,
    RolloutRow: _own,
    HostScan: _own,
    ReadinessRow: _own,
    AssessmentRow: _own,
    JudgedHostRow: _own,
    AnnouncementRow: _own,
    OpenFindingRow: _own,
    NightRow: _own,
    NightOverrideRow: _own,
    SwitchRow: _own_or_everybodys,
    StepRow: _of_rollout,
    PlanRow: _of_rollout,
    PlannedHostRow: _of_rollout,
    WaveRow: _of_rollout,
    AttemptRow: _of_rollout,
    GateRow: _of_rollout,
    ApprovalRequestRow: _of_rollout,
    DecisionRow: _of_rollout,
    RestorePointRow: _of_rollout,
    RollbackRow: _of_rollout,
    AttemptStepRow: _of_attempt,
    FirstSightingRow: _of_host,
    JournalEntryRow: _of_host,
    HostMachineRow: _of_host,
}
"""Every table of the ledger; None: the same for every company. A test names a missing one."""


def restrict(session: Session, tenant: str) -> None:
    """Let a session see one company's rows only, whatever it is asked."""
    session.info[_TENANT] = tenant
    options = [
        with_loader_criteria(table, criterion(table, tenant), include_aliases=True)
        for table, criterion in VISIBLE.items()
        if criterion is not None
    ]

    def cut_down(state: ORMExecuteState) -> None:
        if any(mapper.class_ not in VISIBLE for mapper in state.all_mappers):
            raise LedgerError("a table has no rule in ledger/view.py: nothing of it is shown")
        if state.is_orm_statement and not state.is_insert:
            state.statement = state.statement.options(*options)
            state.update_execution_options(**{_SEEN: True})

    event.listen(session, "do_orm_execute", cut_down)


def guard(session: Session) -> None:
    """Refuse what goes past the session: a `select` straight to the connection is not cut down."""
    if _TENANT in session.info:
        event.listen(session.connection(), "before_execute", _refuse_past)


def _refuse_past(
    _connection: Connection,
    clause: object,
    _many: object,
    _parameters: object,
    options: Mapping[str, object],
) -> None:
    if isinstance(clause, Select) and not options.get(_SEEN):
        raise LedgerError("a statement went past the view of one company: nothing is shown")


def seen(session: Session, fleet: Fleet) -> Fleet:
    """Return a fleet as this session may see it."""
    tenant = session.info.get(_TENANT, "")
    return view_of(fleet, tenant) if tenant else fleet
