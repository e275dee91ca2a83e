"""Rounds of one attempt: its change begun again, each time as a job of its own on the host.

The first round is the attempt itself. Pure names; `ledger/rounds.py` writes them down.
"""

MAX_ROUNDS = 3
"""What three rounds have not brought in is for a person: it would fail again each time."""

FURTHER = {number: f"round {number}" for number in range(2, MAX_ROUNDS + 1)}
"""What the ledger calls each round but the first."""


def job_of(attempt_id: str, number: int) -> str:
    """Return the name of a round's job on its host."""
    return attempt_id if number == 1 else f"{attempt_id}-r{number}"


def round_of(job_id: str) -> tuple[str, int]:
    """Return the attempt and the number of the round that a job's name stands for."""
    attempt_id, _, number = job_id.rpartition("-r")
    return (attempt_id, int(number)) if number in map(str, FURTHER) else (job_id, 1)
