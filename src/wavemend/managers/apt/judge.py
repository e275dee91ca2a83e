"""How apt-get's exit statuses and logs are put into words; `reading/judging.py` judges. Pure."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from wavemend.hosts import Facts
from wavemend.managers.reading.judging import judge_targets
from wavemend.outcomes import PackageResult
from wavemend.packages import JobEnd, Target
from wavemend.versions import deb_key

EXIT_MEANING: Mapping[int, str] = {
    0: "apt-get reports success",
    100: "apt-get reports an error",
    72: "apt-get would have done something else than planned, nothing was changed",
    71: "the repair left something in between, or found what it may not change",
}
"""apt-get(8): "zero on normal operation, decimal 100 on error". There are no others; 71 and
72 are `repair.sh`'s and `apply.sh`'s own."""


def explain_exit(status: int | None) -> str:
    """Say what an exit status means; one that apt-get does not document is unknown."""
    if status is None:
        return "the transaction's end was never recorded"
    return EXIT_MEANING.get(status, f"exit status {status}, which apt-get does not document")


def judge(
    targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
) -> tuple[PackageResult, ...]:
    """Return one result per target, sorted by name and architecture."""
    lines = end.log.decode(errors="replace").replace("\r", "\n").split("\n")
    replaced = _named_files(lines, "wavemend-replaced")
    return judge_targets(targets, before, after, end, log=_LOG, replaced=replaced, older=_is_older)


def _is_older(version: str, other: str) -> bool:
    try:
        return bool(other) and deb_key(version) < deb_key(other)
    except ValueError:
        return False


_VAGUE = re.compile(
    r"E: (?:Sub-process|Unable to fetch some archives|Unable to acquire the dpkg frontend lock)"
)
"""apt's last words, which name neither the package nor the reason: that stands above them."""

_ASKED = re.compile(r"Configuration file '(?P<path>[^']+)'")
_SETTING_UP = re.compile(r"Setting up (?P<name>[^ :]+)")
_KEPT_OLD = re.compile(r" ==> (?:Keeping old config file|Using current old file)")


class _AptLog:
    """`reading.judging.LogReader`."""

    def explain_exit(self, status: int | None) -> str:
        return explain_exit(status)

    def cause(self, target: Target, lines: Sequence[str]) -> str:
        """Return the log's own words about a package, else its last error."""
        arch = re.escape(target.arch)
        own = re.compile(
            rf"(?:^|[\s'/]|/[0-9]+-){re.escape(target.name)}(?::{arch})?(?:$|[\s',;:_(])"
        )
        lines = [line.strip() for line in lines if line.strip()]
        errors = [
            # dpkg gives the reason on the line after.
            f"{line} {after}" if line.startswith("dpkg: error processing") else line
            for line, after in pairwise([*lines, ""])
            if line.startswith(("E: ", "dpkg: error"))
        ]
        about = [line for line in errors if own.search(line)]
        telling = [line for line in errors if not _VAGUE.match(line)]
        for chosen in (about, telling, errors):
            if chosen:
                return chosen[-1][:400]
        return ""

    def kept(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return per package the configuration files that dpkg or ucf left as the host had them."""
        kept = {name: set(paths) for name, paths in _named_files(lines, "wavemend-kept").items()}
        package, path = "", ""
        for line in lines:
            if found := _SETTING_UP.match(line):
                package, path = found["name"], ""
            elif found := _ASKED.match(line):
                path = found["path"]
            elif path and _KEPT_OLD.match(line):
                kept.setdefault(package, set()).add(path)
                path = ""
        return {name: tuple(sorted(paths)) for name, paths in kept.items()}

    def failed(self, lines: Sequence[str]) -> Mapping[str, str]:
        """Return nothing: dpkg leaves a package whose script failed half-configured."""
        del lines
        return {}


_LOG = _AptLog()


def _named_files(log: Sequence[str], mark: str) -> Mapping[str, tuple[str, ...]]:
    """Return per package the files that apply.sh names after a mark."""
    form = re.compile(rf"{mark} (?P<name>\S+) (?P<path>/.+)")
    named: dict[str, set[str]] = {}
    for line in log:
        if found := form.fullmatch(line.strip()):
            named.setdefault(found["name"], set()).add(found["path"])
    return {name: tuple(sorted(paths)) for name, paths in named.items()}
