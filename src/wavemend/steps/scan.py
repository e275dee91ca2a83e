"""Look at one host outside a rollout and rank what it lacks. Changes nothing."""

from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.hosts import Host
from wavemend.ledger.scans import record_look
from wavemend.observations import Assessment, Look
from wavemend.steps.assess import Assessor, assess_look


def scan_host(hands: Hands, assessor: Assessor, host: Host) -> tuple[Look, Assessment | None]:
    """Return what was seen and how it is judged; both are in the ledger. None: it was not seen."""
    seen = look(hands, host, refresh=True)
    with hands.ledger.writing() as book:
        scan_id = record_look(book, host, seen, purpose="scan")
    if seen.facts is None:
        return seen, None
    return seen, assess_look(hands, assessor, host, scan_id, seen).assessment
