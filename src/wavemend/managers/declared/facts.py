"""From the answers of the declared commands to Facts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wavemend.declarations import Declaration, ExitMeaning, Order, Reading
from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.managers.declared.looking import Answer, Answers, Visit
from wavemend.managers.declared.rows import NO_ROWS, Row, doubles, read_rows
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import Software, facts_of, lines_of, read_system
from wavemend.versions import Scheme, key_of

ARCH = "all"
"""A declared item is for the whole machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a reading's answers say: items, and why that may not be all."""

    rows: tuple[Row, ...]
    troubles: tuple[str, ...]


def meaning_of(table: Mapping[int, ExitMeaning], status: int) -> ExitMeaning:
    """Return what an exit code means; one that is not listed is unknown."""
    return table.get(status, ExitMeaning.UNKNOWN)


def explain(table: Mapping[int, ExitMeaning], status: int) -> str:
    """Say what an exit code means, in words."""
    if status not in table:
        return f"exit status {status}, which the declaration does not list"
    return f"exit status {status}: {table[status]}"


def read_answers(key: str, reading: Reading, answers: Sequence[Answer]) -> Read:
    """Return the items of all answers of one reading."""
    rows: list[Row] = []
    troubles: list[str] = []
    for answer in answers:
        about = f"{key} of {answer.item}" if answer.item else key
        meaning = meaning_of(reading.exit, answer.section.status)
        if meaning is ExitMeaning.NOTHING:
            continue
        if meaning is not ExitMeaning.DONE:
            said = explain(reading.exit, answer.section.status)
            troubles.append(f"{about}: {said}{_words(answer.section)}")
            continue
        got = read_rows(reading, answer.section.lines, answer.item) if reading.reads else NO_ROWS
        rows += got.found
        if got.unread:
            more = f" and {len(got.unread) - 1} more" if len(got.unread) > 1 else ""
            troubles.append(f"{about}: {got.unread[0]}{more}")
    return Read(rows=tuple(rows), troubles=tuple(troubles))


def read_installed(declaration: Declaration, answers: Answers, host: str) -> tuple[Row, ...]:
    """Return what is installed, sorted by name; HostAnswerInvalid when that cannot be told."""
    read = read_answers("installed", declaration.installed, answers["installed"])
    twice = doubles(read.rows)
    if twice:
        trouble = f"installed: {twice[0]} is there twice"
    elif read.troubles:
        trouble = read.troubles[0]
    elif not read.rows:
        trouble = "installed: it lists nothing, and nothing is no answer"
    else:
        return tuple(sorted(read.rows, key=lambda row: row.name))
    raise HostAnswerInvalid(f"{host}: {trouble}", hint="see `wavemend manager check`")


def build_facts(
    declaration: Declaration,
    host: Host,
    visit: Visit,
    installed: Sequence[Row],
    answers: Answers,
) -> Facts:
    """Return one look at a host with a declared manager."""
    available = read_answers("available", declaration.available, answers["available"])
    pending, unordered = pending_updates(declaration, installed, available.rows)
    restarts, running_troubles = _restarts(declaration, installed, answers)
    software = Software(
        installed=tuple(_package(row.name, row.version) for row in installed),
        pending=pending,
        held=(),
        broken=(
            *_broken(declaration, installed, answers),
            *_unknown(declaration, running_troubles),
        ),
        newest_kernel="",
        reboot_reasons=(*restarts, *lines_of(visit.sections, "restart")),
        lock_holder="",
        index_errors=(*available.troubles, *unordered, *running_troubles),
    )
    # The items are not the distribution's: its advisories must not be read as if they were.
    system = replace(
        read_system(host, visit.sections, visit.asked), os_id=declaration.name, codename=""
    )
    return facts_of(system, software)


def pending_updates(
    declaration: Declaration, installed: Sequence[Row], available: Sequence[Row]
) -> tuple[tuple[PendingUpdate, ...], tuple[str, ...]]:
    """Return the newest version for each item that is newer than its own, and the doubts."""
    offers: dict[str, list[Row]] = {}
    for row in available:
        offers.setdefault(row.name, []).append(row)
    pending, troubles = [], []
    for row in installed:
        try:
            newest = _newest(declaration.order, row, offers.get(row.name, ()))
        except ValueError as error:
            troubles.append(f"available: {row.name}: {error}")
            continue
        if newest is not None:
            pending.append(_update(declaration, row, newest))
    return tuple(pending), tuple(troubles)


def _newest(order: Order, installed: Row, offers: Sequence[Row]) -> Row | None:
    """Return the newest offer, if it is newer. Raises ValueError when that cannot be told."""
    others = [offer for offer in offers if offer.version != installed.version]
    if order is Order.OFFERED:
        if len({offer.version for offer in others}) > 1:
            raise ValueError("several versions are offered, and `versions: offered` orders none")
        return others[0] if others else None
    scheme = Scheme(order)
    mine = key_of(scheme, installed.version)
    newer = [offer for offer in others if key_of(scheme, offer.version) > mine]
    return max(newer, key=lambda offer: key_of(scheme, offer.version), default=None)


def _update(declaration: Declaration, installed: Row, offer: Row) -> PendingUpdate:
    return PendingUpdate(
        name=installed.name,
        arch=ARCH,
        installed=installed.version,
        candidate=offer.version,
        origin=offer.origin or declaration.name,
        security=declaration.security,
        cves=offer.cves,
    )


def _package(name: str, version: str, status: str = "ii") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=ARCH, source=name, source_version=version, status=status
    )


def _restarts(
    declaration: Declaration, installed: Sequence[Row], answers: Answers
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what runs in another version than the installed one, and what cannot be told."""
    if declaration.running is None:
        return (), ()
    read = read_answers("running", declaration.running, answers["running"])
    versions = {row.name: row.version for row in installed}
    reasons = [
        f"{row.name} {row.version} runs, {versions[row.name]} is installed"
        for row in read.rows
        if versions.get(row.name, row.version) != row.version
    ]
    missing = () if read.rows or read.troubles else ("running: it lists nothing",)
    strange = sorted({row.name for row in read.rows} - set(versions))
    unknown = tuple(f"running: {name} is none of the installed items" for name in strange)
    return tuple(sorted(reasons)), (*read.troubles, *missing, *unknown)


def _unknown(declaration: Declaration, troubles: Sequence[str]) -> tuple[InstalledPackage, ...]:
    """Return why nobody can say what runs: a change after which that is so has not succeeded."""
    return tuple(_package(declaration.name, "", trouble) for trouble in troubles)


def _broken(
    declaration: Declaration, installed: Sequence[Row], answers: Answers
) -> tuple[InstalledPackage, ...]:
    """Return the items that `verify` does not find whole, with its words as their state."""
    reading = declaration.verify
    if reading is None:
        return ()
    versions = {row.name: row.version for row in installed}
    broken: list[InstalledPackage] = []
    for answer in answers.get("verify", ()):
        read = read_answers("verify", reading, (answer,))
        name = answer.item or declaration.name
        states = [*read.troubles]
        states += [
            f"verify: finds {row.version}"
            for row in read.rows
            if versions.get(row.name, "") != row.version
        ]
        if reading.reads and not read.rows and not states:
            states.append("verify: finds nothing")
        broken += [_package(name, versions.get(name, ""), state) for state in states]
    return tuple(sorted(broken, key=lambda package: (package.name, package.status)))


def _words(section: Section) -> str:
    said = (section.errors or section.lines)[-1:]
    return f": {said[0][:200]}" if said else ""
