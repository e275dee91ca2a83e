"""Since when hosts are known to be unwell whose changes had ended well: their probes said so."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from wavemend.ledger.host_lines import by_host
from wavemend.ledger.tables import AttemptRow, StepRow
from wavemend.rollout_actions import PROBED


def unwell_since(session: Session, hosts: Sequence[str]) -> dict[str, tuple[datetime, str]]:
    """Return which of these hosts failed their probes before a gate: since when, in which rollout.

    The last look of the same rollout asks the probes again: whom it finds well is well.
    """
    theirs = select(AttemptRow.rollout_id).where(col(AttemptRow.host).in_(hosts))
    said = select(StepRow.at, StepRow.rollout_id, StepRow.detail).where(
        col(StepRow.rollout_id).in_(theirs),
        col(StepRow.step).startswith(PROBED, autoescape=True),
        StepRow.detail != "",
    )
    found: dict[str, tuple[datetime, str]] = {}
    for at, rollout, detail in session.exec(said.order_by(col(StepRow.at))):
        found |= dict.fromkeys(by_host(detail).keys() & set(hosts), (at, rollout))
    looks = {rollout: session.get(StepRow, (rollout, "verified")) for _, rollout in found.values()}
    seen = {rollout: by_host(step.detail) for rollout, step in looks.items() if step}
    return {
        name: (at, rollout)
        for name, (at, rollout) in found.items()
        if rollout not in seen or name in seen[rollout]
    }
