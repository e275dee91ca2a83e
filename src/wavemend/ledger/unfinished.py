"""What is under way on hosts: attempts and rollbacks that have begun and not ended."""

from collections.abc import Collection

from sqlmodel import Session, select

from wavemend.ledger.care_tables import RollbackRow
from wavemend.ledger.tables import AttemptRow
from wavemend.rollout import AttemptState


def unfinished_on(session: Session, hosts: Collection[str]) -> dict[str, str]:
    """Return for each of these hosts what is under way there, in words; sorted by host."""
    tried = select(AttemptRow.host, AttemptRow.rollout_id).where(
        AttemptRow.state != AttemptState.ENDED
    )
    taken = select(RollbackRow.host, RollbackRow.rollout_id).where(
        RollbackRow.state != AttemptState.ENDED
    )
    wanted = frozenset(hosts)
    found: dict[str, str] = {}
    for what, query in (("its attempt in", tried), ("its rollback of", taken)):
        for host, rollout in session.exec(query):
            if host in wanted:
                found[host] = f"{what} {rollout} has not ended"
    return dict(sorted(found.items()))
