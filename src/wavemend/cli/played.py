"""Which rollouts and hosts that a list names are only played, by the fleet in force."""

from collections.abc import Callable

from sqlmodel import Session

from wavemend.hosts import Host
from wavemend.ledger.intake import current_fleet, digest_in_force
from wavemend.ledger.tables import RolloutRow
from wavemend.simulated import named


def hosts_in_force(book: Session) -> tuple[Host, ...]:
    """Return the hosts of the fleet in force; none before one was applied."""
    return current_fleet(book).hosts if digest_in_force(book) else ()


def companies(book: Session) -> Callable[[RolloutRow], str]:
    """Return what names a rollout's company, and says where hosts of such rollouts are played."""
    played = {(host.tenant, host.profile) for host in hosts_in_force(book) if host.simulated}
    return lambda row: named(row.tenant, simulated=(row.tenant, row.profile) in played)
