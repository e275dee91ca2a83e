"""pacman's exit statuses and logs in words. Pure; the versions of the second look decide."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from wavemend.packages import Target

EXIT_MEANING: Mapping[int, str] = MappingProxyType(
    {
        0: "pacman reports success",
        1: "pacman reports an error",
        71: "a planned version is in no repository and not in the cache any more",
        72: "a planned package is on hold on the host",
        73: "not every package could be downloaded, nothing was changed",
        75: "pacman's lock stayed taken for two minutes, nothing was changed",
    }
)
"""pacman ends with 0 or 1; the others are transaction.sh's own."""

_BEGINS = re.compile(
    r"(?:\([0-9 ]+/[0-9 ]+\) )?(?:installing|upgrading|downgrading|reinstalling) "
    r"(?P<name>[^ ]+?)(?:\.\.\.)?"
)
_HOOKS = re.compile(r":: Running (?P<when>pre|post)-transaction hooks\.\.\.")
_HOOK = re.compile(r"\([0-9 ]+/[0-9 ]+\) (?P<title>.+?)(?:\.\.\.)?")
_SCRIPT_FAILED = "error: command failed to execute correctly"
_KEPT = re.compile(r"wavemend-kept (?P<name>\S+) (?P<path>/.+)")
_VAGUE = ("error: failed to prepare transaction", "error: failed to commit transaction")


def explain_exit(status: int | None) -> str:
    """Say what an exit status means; one that nobody documents is unknown."""
    if status is None:
        return "the transaction's end was never recorded"
    return EXIT_MEANING.get(status, f"exit status {status}, which pacman does not document")


class PacmanLog:
    """Reads the log of transaction.sh; implements `reading.judging.LogReader`."""

    def explain_exit(self, status: int | None) -> str:
        """Say what an exit status means."""
        return explain_exit(status)

    def cause(self, target: Target, lines: Sequence[str]) -> str:
        """Return the error about a package, else the last one that says more than "failed"."""
        errors = [
            # What stands behind two colons on the next line is the reason.
            f"{line} {after}" if after.startswith(":: ") else line
            for line, after in pairwise([*(line.strip() for line in lines if line.strip()), ""])
            if line.startswith("error: ") or " exists in filesystem" in line
        ]
        own = re.compile(rf"(?:^|[\s'/:]){re.escape(target.name)}(?:$|[\s',;:-])")
        about = [line for line in errors if own.search(line)]
        telling = [line for line in errors if not line.startswith(_VAGUE) or ":: " in line]
        for chosen in (about, telling, errors):
            if chosen:
                return chosen[-1][:400]
        return ""

    def kept(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the files beside which the package's own lies as `.pacnew`."""
        found: dict[str, set[str]] = {}
        for line in lines:
            if kept := _KEPT.fullmatch(line.strip()):
                found.setdefault(kept["name"], set()).add(kept["path"])
        return {name: tuple(sorted(paths)) for name, paths in found.items()}

    def failed(self, lines: Sequence[str]) -> Mapping[str, str]:
        """Return the scripts and hooks that failed: pacman says so, and ends with 0.

        A package whose script prints what pacman prints cannot shift it on another: where a
        package begins twice, all of them count as failed.
        """
        failed: dict[str, str] = {}
        begun: list[str] = []
        hooks, title = False, ""
        for line in lines:
            if _HOOKS.fullmatch(line):
                hooks, title = True, ""
            elif found := None if hooks else _BEGINS.fullmatch(line):
                begun.append(found["name"])
            elif hooks and (found := _HOOK.fullmatch(line)):
                title = found["title"]
            elif line.startswith(_SCRIPT_FAILED) and hooks:
                failed[""] = f"a hook failed: {title or 'without a name'}"
            elif line.startswith(_SCRIPT_FAILED):
                failed[begun[-1] if begun else ""] = "its script failed"
        if failed and len(set(begun)) != len(begun):
            failed.setdefault("", "a script failed, and the log does not say for sure whose")
        return failed
