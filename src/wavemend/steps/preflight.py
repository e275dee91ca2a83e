"""Before the plan: look at every host of the selection, with a fresh package index."""

from wavemend.execution.hands import Hands
from wavemend.execution.looks import look_and_record, past_lock
from wavemend.hosts import Host
from wavemend.ledger.scans import newest_look
from wavemend.observations import Look


def preflight_host(hands: Hands, host: Host, rollout_id: str, *, may_be_seen: bool = True) -> Look:
    """Look at one host and write it down; a look of this rollout that exists is not repeated.

    `may_be_seen`: False where `hosts_looked_at` has just said that none exists.
    """
    purpose = "preflight"
    if may_be_seen:
        with hands.ledger.reading() as book:
            found = newest_look(book, host.name, purpose=purpose, rollout_id=rollout_id)
        if found is not None and found[1].facts is not None:
            return found[1]
    _, seen = look_and_record(hands, host, purpose=purpose, rollout_id=rollout_id, refresh=True)
    return past_lock(hands, host, seen, purpose=purpose, rollout_id=rollout_id, refresh=True)
