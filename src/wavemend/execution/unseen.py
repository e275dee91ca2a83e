"""Jobs of earlier changes whose end nobody saw: nothing begins beside one that still runs."""

from wavemend.execution.hands import Hands
from wavemend.execution.job_answers import JobState
from wavemend.execution.jobs import read_job
from wavemend.hosts import Host
from wavemend.ledger import attempts, rollbacks

_READ_SECONDS = 60.0


def still_running(hands: Hands, host: Host) -> str:
    """Ask a host for such jobs; say which one runs, empty when none does. Raises TransportError."""
    with hands.ledger.reading() as book:
        earlier = [("attempt", *job) for job in attempts.unseen_ends(book, host.name)]
        earlier += [("rollback", *job) for job in rollbacks.unseen_ends(book, host.name)]
    if not earlier:
        return ""
    transport = hands.connect(host)
    try:
        for what, job_id, nonce in earlier:
            view = read_job(transport, job_id, nonce, deadline=_READ_SECONDS, bound=1)
            if view.state is JobState.RUNNING:
                return f"the job of its {what} {job_id} still runs"
    finally:
        transport.close()
    return ""
