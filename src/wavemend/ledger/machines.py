"""Which machine answered under which name: one that has two names is changed under neither.

Its approvals, budgets, windows and its other changes are kept by name; a second one gets past all
of them.
"""

from sqlalchemy import text
from sqlmodel import Session, col, select

from wavemend.documents import sha256
from wavemend.hosts import Facts
from wavemend.ledger.care_tables import HostMachineRow
from wavemend.ledger.intake import current_fleet

_SEEN = text(
    "INSERT INTO host_machines (host, machine) VALUES (:host, :machine)"
    " ON CONFLICT (host) DO UPDATE SET machine = excluded.machine"
)


def note_machine(session: Session, host: str, facts: Facts) -> None:
    """Write down which machine was seen under this name, in place of what was seen before."""
    session.connection().execute(_SEEN, {"host": host, "machine": _machine(facts)})


def other_names(session: Session, host: str, facts: Facts) -> tuple[str, ...]:
    """Return under which names of the fleet in force this machine was seen too, since its boot.

    Those of other companies are counted and not named.
    """
    machine = _machine(facts)
    same = select(HostMachineRow.host).where(
        HostMachineRow.machine == machine, HostMachineRow.host != host
    )
    found = set(session.exec(same.order_by(col(HostMachineRow.host)))) if machine else set()
    if not found:
        return ()
    fleet = current_fleet(session)
    tenants = {each.name: each.tenant for each in fleet.hosts}
    named = [name for name in found if tenants.get(name, "") == tenants.get(host, "")]
    own = sorted(name for name in named if name in tenants)
    others = any(name in tenants and name not in own for name in found)
    return (*own, *(["a host of another company"] if others else []))


def _machine(facts: Facts) -> str:
    """Return what tells a machine from every other one; empty: it cannot be told.

    A clone keeps the machine-id of what it was made of, and containers share their kernel's boot:
    of one machine all three are the same, and of two never.
    """
    if not (facts.machine_id and facts.boot_id and facts.hostname):
        return ""
    return sha256("\0".join((facts.machine_id, facts.boot_id, facts.hostname)).encode())
