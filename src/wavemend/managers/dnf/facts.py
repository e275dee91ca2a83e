"""From the sections of the facts script to Facts. Pure."""

import re
from collections.abc import Iterator, Mapping

from wavemend.hosts import Facts, Host
from wavemend.managers.dnf.exits import NOTHING, UPDATES
from wavemend.managers.dnf.pending import pending_updates
from wavemend.managers.dnf.repositories import refresh_words, repositories
from wavemend.managers.dnf.tables import parse_nevra, read_listing, read_table
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import Asked, lines_of
from wavemend.managers.rpm.facts import Told
from wavemend.managers.rpm.facts import build_facts as facts_with
from wavemend.managers.rpm.installed import Database
from wavemend.packages import Target

_NEEDED = {"tool", "repo-settings", "updates-unlocked"}


def build_facts(host: Host, sections: Mapping[str, Section], asked: Asked) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    return facts_with(host, sections, asked, _NEEDED, _read)


def _read(sections: Mapping[str, Section], database: Database) -> Told:
    offers = pending_updates(sections, database)
    unread = (f"a line that cannot be read: {line[:200]!r}" for line in offers.unread)
    return Told(
        pending=offers.updates,
        index_errors=(*_index_errors(sections), *unread),
        repositories=repositories(sections),
        restart=_restart(sections.get("needs-restarting")),
        cut=tuple(_cut(sections)),
    )


def _cut(sections: Mapping[str, Section]) -> Iterator[Target]:
    """Yield the packages of the last transaction when its end was never written down.

    dnf4 writes `End rpmdb : **` and marks each package; dnf5 leaves the status at `Started`.
    """
    lines = lines_of(sections, "last-transaction")
    if not any(re.match(r"End rpmdb *: *\*\*|Status *: *Started", line) for line in lines):
        return
    for line in lines:
        words = line.replace("**", " ").split()
        package = parse_nevra(words[1]) if len(words) > 2 else None
        if package is not None and line.startswith(" "):
            yield package


_DUE = 1


def _restart(section: Section | None) -> str:
    """Say why needs-restarting asks for a reboot.

    Its 1 alone is not believed: dnf4 ends with 1 too when it has no such command.
    """
    said = section.lines if section else ()
    if section and section.status == _DUE and any("Reboot is required" in line for line in said):
        names = sorted(line.split()[1] for line in said if re.match(r" +\* \S", line))
        return f"needs-restarting: {', '.join(names) or 'a reboot is required'}"
    return ""


def _index_errors(sections: Mapping[str, Section]) -> Iterator[str]:
    """Yield why the list of pending updates may be incomplete."""
    if sections["tool"].lines[:1] == ("none",):
        yield "the host has neither dnf nor yum"
        return
    refresh = sections.get("refresh")
    if refresh is not None and refresh.status != 0:
        yield refresh_words(refresh)
    for name in ("updates", "updates-unlocked"):
        section = sections.get(name)
        if section is not None and section.status not in {NOTHING, UPDATES}:
            yield f"check-update: {refresh_words(section)}"
        elif section is not None and section.status == UPDATES and not _rows(section):
            yield "check-update says that there are updates, and none of them can be read"
    for name in ("advisories", "cves"):
        section = sections.get(name)
        if section is not None and section.status != 0:
            yield f"the list of {name}: {refresh_words(section)}"
    for name in ("upgrade", "plain"):
        section = sections.get(name)
        if section is not None and not read_table(section.lines).complete and section.status != 0:
            yield f"simulated {name}: {refresh_words(section)}"


def _rows(section: Section) -> bool:
    listing = read_listing(section.lines)
    obsoleting = any(line.startswith("Obsoleting") for line in section.lines)
    return bool(listing.updates or obsoleting)
