"""Facts of a host with RPM: what all such hosts say, and what the manager above RPM adds. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, Host, PendingUpdate, Repository
from wavemend.managers.reading.boot import boot_faults
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import (
    Asked,
    Software,
    System,
    facts_of,
    host_values,
    lines_of,
    lock_holder,
    read_system,
)
from wavemend.managers.rpm.installed import Database, read_database, set_apart
from wavemend.managers.rpm.kernels import newest_kernel, replaced_since
from wavemend.managers.rpm.rivals import rivals
from wavemend.packages import Target

_NEEDED = {"packages", "install-only", "services", "lock", "rivals"}

MOST_ERRORS = 20
"""Lines of trouble that are kept: a host without network repeats one line per repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a manager above RPM says of its host."""

    pending: tuple[PendingUpdate, ...]
    index_errors: Iterable[str]
    """Why the list of pending updates may be incomplete."""
    repositories: tuple[Repository, ...]
    restart: str
    """Why its own tool asks for a reboot; empty when it does not, or cannot tell."""
    cut: tuple[Target, ...] = ()
    """Packages of a transaction whose end was never written down."""


Reader = Callable[[Mapping[str, Section], Database], Told]


def build_facts(
    host: Host, sections: Mapping[str, Section], asked: Asked, needed: set[str], read: Reader
) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    holder = lock_holder(lines_of(sections, "lock"))
    if missing := sorted((_NEEDED if holder else _NEEDED | needed) - set(sections)):
        raise HostAnswerInvalid(f"{host.name}: the answer lacks {', '.join(missing)}")
    system = read_system(host, sections, asked)
    database = read_database(host.name, sections)
    told = _busy(holder) if holder else read(sections, database)
    installed, broken = set_apart(database, told.cut)
    newest = newest_kernel(system.running_kernel, installed)
    boot, modules = (lines_of(sections, name) for name in ("boot", "dkms"))
    software = Software(
        installed=installed,
        pending=told.pending,
        held=tuple(sorted({update.name for update in told.pending if update.held})),
        broken=broken,
        newest_kernel=newest,
        reboot_reasons=_reboot_reasons(system, newest, told, database, sections),
        lock_holder=holder,
        index_errors=_shortened(told.index_errors),
        rivals=rivals(sections["rivals"].lines),
        repositories=told.repositories,
        boot_faults=boot_faults(system.running_kernel, newest, boot, modules),
    )
    return facts_of(system, software)


def _busy(holder: str) -> Told:
    """While somebody changes packages nothing is asked: the tools would only wait for them."""
    return Told(
        pending=(),
        index_errors=(f"what is pending was not asked: {holder} changes packages",),
        repositories=(),
        restart="",
    )


def _reboot_reasons(
    system: System,
    newest: str,
    told: Told,
    database: Database,
    sections: Mapping[str, Section],
) -> tuple[str, ...]:
    """Return every sign that the host runs something older than what is installed."""
    reasons = []
    if newest and newest != system.running_kernel:
        reasons.append(f"kernel {system.running_kernel} runs, {newest} is installed")
    # The tools are not enough: not every host has one, and dnf4's takes the age of /proc/1 for the
    # time of the boot, which a kernel short of memory forgets.
    clock = host_values(sections).get("clock", "").partition(".")[0]
    boot = (int(clock) if clock.isdecimal() else 0) - system.uptime_seconds
    if told.restart:
        reasons.append(told.restart)
    elif replaced := replaced_since(boot, database.installed_at):
        reasons.append(f"installed since the boot: {', '.join(replaced)}")
    if services := sorted(set(sections["services"].lines)):
        reasons.append(f"services still run replaced files: {', '.join(services)}")
    return tuple(reasons)


def _shortened(errors: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(errors))
    if len(unique) > MOST_ERRORS:
        return (*unique[:MOST_ERRORS], f"and {len(unique) - MOST_ERRORS} more lines")
    return unique
