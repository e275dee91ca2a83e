"""From the sections of the facts script to Facts. Pure."""

from collections.abc import Iterator, Mapping

from wavemend.hosts import Facts, Host, Repository
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import Asked
from wavemend.managers.rpm.facts import Told
from wavemend.managers.rpm.facts import build_facts as facts_with
from wavemend.managers.rpm.installed import Database
from wavemend.managers.zypper.answers import read_answer
from wavemend.managers.zypper.exits import REBOOT_NEEDED, SUCCESS
from wavemend.managers.zypper.pending import pending_updates

_NEEDED = {"repositories", "updates-all"}


def build_facts(host: Host, sections: Mapping[str, Section], asked: Asked) -> Facts:
    """Return the facts of one look; raises HostAnswerInvalid when the host cannot be told apart."""
    return facts_with(host, sections, asked, _NEEDED, _read)


def _read(sections: Mapping[str, Section], database: Database) -> Told:
    return Told(
        pending=pending_updates(sections, database),
        index_errors=tuple(_index_errors(sections)),
        repositories=_repositories(sections),
        restart=_restart(sections.get("needs-rebooting")),
    )


def _restart(section: Section | None) -> str:
    if section is not None and section.status == REBOOT_NEEDED:
        return "zypper needs-rebooting: core libraries or services were updated"
    return ""


def _index_errors(sections: Mapping[str, Section]) -> Iterator[str]:
    """Yield why the list of pending updates may be incomplete."""
    refresh = sections.get("refresh")
    if refresh is not None and refresh.status != SUCCESS:
        yield f"zypper refresh: {_refresh_words(refresh)}"
    for name in ("repositories", "updates-all", "updates", "locks", "patches"):
        if name not in sections:  # nothing newer is to be had, so the rest is not asked
            continue
        answer = read_answer(sections[name])
        if answer.root is None or answer.status != SUCCESS:
            yield f"zypper, asked for {name}: {answer.words[:300]}"
    infos = sections.get("patch-infos")
    if infos is not None and infos.status != SUCCESS:
        yield f"zypper patch-info ended with {infos.status}: {'; '.join(infos.errors[-3:])[:300]}"


def _refresh_words(section: Section) -> str:
    said = " ".join(line.strip() for line in section.errors[:4])
    return said[:300] or f"it ended with {section.status}"


_ON = "1"


def _repositories(sections: Mapping[str, Section]) -> tuple[Repository, ...]:
    """Return the enabled repositories, sorted by name; without any check they count as unsigned."""
    found = []
    for row in read_answer(sections["repositories"]).rows("repo-list", "repo"):
        if row.get("enabled") != _ON:
            continue
        name = row.get("alias", "")
        section = sections.get(f"refresh {name}")
        reachable = section is None or section.status == SUCCESS
        checks = ("gpgcheck", "repo_gpgcheck", "pkg_gpgcheck")
        found.append(
            Repository(
                name=name,
                reachable=reachable,
                signed=any(row.get(check) == _ON for check in checks),
                detail="" if reachable or section is None else _refresh_words(section),
            )
        )
    return tuple(sorted(found, key=lambda repository: repository.name))
