"""apk's exit statuses and logs in words. Pure; the versions of the second look decide."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from wavemend.packages import Target

EXIT_MEANING: Mapping[int, str] = MappingProxyType(
    {
        0: "apk reports success",
        71: "apk would have done something else than planned, nothing was changed",
        73: "apk could not say what it would do, nothing was changed",
        74: "the host runs from memory and has changes that lbu did not save, nothing was changed",
        76: "the host runs from memory, and lbu could not save what was changed",
        99: "apk could not open its database, or get its lock",
    }
)
"""apk documents none; 0 and 99 are in its code. The others are transaction.sh's own."""

_MOST_ERRORS = 70
"""apk ends with the number of errors it counted; its list of them is the log."""


def explain_exit(status: int | None) -> str:
    """Say what an exit status means; one that nobody documents is unknown."""
    if status is None:
        return "the transaction's end was never recorded"
    known = EXIT_MEANING.get(status)
    if known is None and 0 < status <= _MOST_ERRORS:
        known = f"apk counted {status} error{'' if status == 1 else 's'}"
    return known or f"exit status {status}, which apk does not document"


_KEPT = re.compile(r"wavemend-kept (?P<name>\S+) (?P<path>/.+)")
_SCRIPT = re.compile(
    r"ERROR: (?P<name>\S+)-[0-9][^- ]*-r[0-9]+\.(?P<script>[a-z-]+): (?P<words>script .+)"
)


class ApkLog:
    """Reads the log of transaction.sh; implements `reading.judging.LogReader`."""

    def explain_exit(self, status: int | None) -> str:
        """Say what an exit status means."""
        return explain_exit(status)

    def cause(self, target: Target, lines: Sequence[str]) -> str:
        """Return the error about a package, else the last one."""
        errors = [line.strip() for line in lines if line.lower().startswith("error: ")]
        own = re.compile(rf"(?:^|[\s'/]){re.escape(target.name)}(?:$|[\s',;:-])")
        about = [line for line in errors if own.search(line)]
        chosen = about or errors
        return chosen[-1][:400] if chosen else ""

    def kept(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the files beside which the package's own lies as `.apk-new`."""
        found: dict[str, set[str]] = {}
        for line in lines:
            if kept := _KEPT.fullmatch(line.strip()):
                found.setdefault(kept["name"], set()).add(kept["path"])
        return {name: tuple(sorted(paths)) for name, paths in found.items()}

    def failed(self, lines: Sequence[str]) -> Mapping[str, str]:
        """Return the scripts and triggers that failed; apk marks most such packages as broken."""
        found = (_SCRIPT.fullmatch(line.strip()) for line in lines)
        return {
            item["name"]: f"its {item['script']} failed: {item['words']}" for item in found if item
        }
