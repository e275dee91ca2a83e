"""Look at one host outside a rollout and rank what it lacks. Changes nothing."""

from wavemend.advisories import Intelligence
from wavemend.execution.hands import Hands
from wavemend.execution.looks import look
from wavemend.hosts import Host
from wavemend.ledger.scans import first_seen, record_findings, record_look
from wavemend.observations import Look, Ranked
from wavemend.steps.freeze import rank_findings


def scan_host(
    hands: Hands, intelligence: Intelligence, host: Host
) -> tuple[Look, tuple[Ranked, ...]]:
    """Return what was seen and what was found, most urgent first; both are in the ledger."""
    seen = look(hands, host, refresh=True)
    ranked: tuple[Ranked, ...] = ()
    if seen.facts is not None:
        with hands.ledger.reading() as book:
            earlier = first_seen(book, host.name)
        ranked = rank_findings(host, seen.facts, intelligence, hands.clock(), earlier)[1]
    with hands.ledger.writing() as book:
        scan_id = record_look(book, host, seen, purpose="scan")
        record_findings(book, scan_id, ranked)
    return seen, ranked
