"""Rounds of one attempt in the ledger: each is written down before its job is started.

So whoever comes after a death knows which jobs to ask the host about.
"""

from datetime import datetime

from sqlmodel import Session

from wavemend.ledger.attempt_steps import StepDone, record_step, steps_of
from wavemend.ledger.rollouts import Lease
from wavemend.rounds import FURTHER


def rounds_of(session: Session, attempt_id: str) -> int:
    """Return how many rounds of an attempt were intended so far; the first always is."""
    done = steps_of(session, attempt_id)
    return 1 + sum(step in done for step in FURTHER.values())


def intend_round(
    session: Session, lease: Lease, attempt_id: str, number: int, *, reason: str, now: datetime
) -> None:
    """Write down that a further round is begun; one that an earlier process intended stands."""
    if number > rounds_of(session, attempt_id):
        step = StepDone(step=FURTHER[number], ok=True, detail=reason)
        record_step(session, lease, attempt_id, step, now)
