"""The repositories of a host with dnf or yum: from its settings, and from the refresh. Pure."""

import re
from collections.abc import Mapping, Sequence

from wavemend.hosts import Repository
from wavemend.managers.reading.sections import Section
from wavemend.managers.reading.system import lines_of

_SECTION = re.compile(r"\s*\[(?P<name>[^\]]+)\].*")
_SWITCH = re.compile(r"\s*(?P<what>enabled|(?:(?:repo|pkg)_)?gpgcheck)\s*=\s*(?P<value>\S+).*")
_YES = frozenset({"1", "yes", "true", "on"})

REFRESH_TIMED_OUT = 124
"""timeout(1): the command was ended. Other exit statuses are the tool's own."""


def repositories(sections: Mapping[str, Section]) -> tuple[Repository, ...]:
    """Return the enabled repositories, sorted by name.

    One that no setting has checked counts as unsigned; one counts as reachable unless the refresh
    of it alone failed.
    """
    settings = _settings(lines_of(sections, "repo-settings"))
    main = settings.pop("main", {})
    found = []
    for name in sorted(settings):
        own = {**main, **settings[name]}
        if not own.get("enabled", True):
            continue
        section = sections.get(f"refresh {name}")
        reachable = section is None or section.status == 0
        found.append(
            Repository(
                name=name,
                reachable=reachable,
                signed=own.get("gpgcheck", False) or own.get("repo_gpgcheck", False),
                detail="" if reachable or section is None else refresh_words(section),
            )
        )
    return tuple(found)


def refresh_words(section: Section) -> str:
    """Say why a refresh failed, in the tool's own words."""
    if section.status == REFRESH_TIMED_OUT:
        return "its refresh did not end in time and was stopped"
    words = " ".join(line.strip() for line in section.errors[-3:])
    return words[:300] or f"its refresh ended with {section.status}"


def _settings(lines: Sequence[str]) -> dict[str, dict[str, bool]]:
    """Return what each section of the settings says yes or no to; later files overrule earlier."""
    settings: dict[str, dict[str, bool]] = {}
    own: dict[str, bool] = {}
    for line in lines:
        if found := _SECTION.fullmatch(line):
            own = settings.setdefault(found["name"].strip(), {})
        elif found := _SWITCH.fullmatch(line):
            own[found["what"].removeprefix("pkg_")] = found["value"].lower() in _YES
    return settings
