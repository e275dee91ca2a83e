"""What a second look says about each package of a transaction. Pure.

The versions in the second look decide. The exit status and the log only explain: text that a
package prints never makes an outcome better.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, Target

EXIT_MEANING: Mapping[int, str] = {
    0: "apt-get reports success",
    100: "apt-get reports an error",
}
"""apt-get(8): "zero on normal operation, decimal 100 on error". There are no others."""


def explain_exit(status: int | None) -> str:
    """Say what an exit status means; one that apt-get does not document is unknown."""
    if status is None:
        return "the transaction's end was never recorded"
    return EXIT_MEANING.get(status, f"exit status {status}, which apt-get does not document")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Everything there is about one target."""

    target: Target
    was: str
    now: str
    half: InstalledPackage | None
    offer: PendingUpdate | None
    after: Facts
    cause: str
    kept: tuple[str, ...]


def judge(
    targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
) -> tuple[PackageResult, ...]:
    """Return one result per target, sorted by name and architecture."""
    log = end.log.decode(errors="replace").replace("\r", "\n").split("\n")
    kept = _kept_files(log)
    results = []
    for target in sorted(targets):
        case = _Case(
            target=target,
            was=before.version_of(target.name, target.arch),
            now=after.version_of(target.name, target.arch),
            half=_broken(target, after),
            offer=_offer(target, after),
            after=after,
            cause=_cause(target, end, log),
            kept=kept.get(target.name, ()),
        )
        outcome, detail = _reached(case) or _not_reached(case) or _not_tried(case)
        results.append(
            PackageResult(
                name=target.name,
                arch=target.arch,
                before=case.was,
                target=target.version,
                after=case.now or (case.half.version if case.half else ""),
                outcome=outcome,
                detail=detail,
            )
        )
    return tuple(results)


def _reached(case: _Case) -> tuple[PackageOutcome, str] | None:
    if case.half is not None or case.now != case.target.version:
        return None
    if case.kept:
        return PackageOutcome.CONFFILE_KEPT, f"kept the host's own {', '.join(case.kept)}"
    return PackageOutcome.INSTALLED, ""


def _not_reached(case: _Case) -> tuple[PackageOutcome, str] | None:
    """The package was touched, by whomever, and is not at its target."""
    if case.half is not None:
        state = f"{case.half.status}, {case.half.version}"
        return PackageOutcome.FAILED, f"half done ({state}): {case.cause}"
    if not case.now:
        return PackageOutcome.FAILED, f"not installed any more: {case.cause}"
    if case.now != case.was:
        detail = f"at {case.now}: something else than this transaction changed it"
        return PackageOutcome.FAILED, detail
    return None


def _not_tried(case: _Case) -> tuple[PackageOutcome, str]:
    """The package is as it was: say why."""
    offer = case.offer
    if case.target.name in case.after.held or (offer is not None and offer.held):
        return PackageOutcome.HELD, "on hold on the host"
    if offer is not None and offer.phased:
        return PackageOutcome.PHASED, "the distribution has not released it to this host yet"
    gone = offer is None or offer.candidate != case.target.version
    # Without a good index, "not offered" cannot be told from "could not be asked".
    if gone and not case.after.index_errors:
        instead = f"{offer.candidate} is" if offer else "nothing is"
        return PackageOutcome.NOT_OFFERED, f"{case.target.version} is not offered, {instead}"
    return PackageOutcome.FAILED, f"still at {case.now}: {case.cause}"


def _broken(target: Target, facts: Facts) -> InstalledPackage | None:
    for package in facts.broken:
        if package.name == target.name and package.arch == target.arch:
            return package
    return None


def _offer(target: Target, facts: Facts) -> PendingUpdate | None:
    for update in facts.pending:
        if update.name == target.name and update.arch == target.arch:
            return update
    return None


_VAGUE = re.compile(
    r"E: (?:Sub-process|Unable to fetch some archives|Unable to acquire the dpkg frontend lock)"
)
"""apt's last words, which name neither the package nor the reason: that stands above them."""


def _cause(target: Target, end: JobEnd, log: Sequence[str]) -> str:
    """Return the log's own words about a package, else its last error, else the exit status."""
    arch = re.escape(target.arch)
    own = re.compile(rf"(?:^|[\s'/]|/[0-9]+-){re.escape(target.name)}(?::{arch})?(?:$|[\s',;:_(])")
    lines = [line.strip() for line in log if line.strip()]
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
    return explain_exit(end.exit_status)


_ASKED = re.compile(r"Configuration file '(?P<path>[^']+)'")
_SETTING_UP = re.compile(r"Setting up (?P<name>[^ :]+)")
_KEPT_OLD = re.compile(r" ==> (?:Keeping old config file|Using current old file)")
_KEPT = re.compile(r"wavemend-kept (?P<name>\S+) (?P<path>/.+)")


def _kept_files(log: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return per package the configuration files that dpkg or ucf left as the host had them."""
    kept: dict[str, set[str]] = {}
    package, path = "", ""
    for line in log:
        if found := _SETTING_UP.match(line):
            package, path = found["name"], ""
        elif found := _ASKED.match(line):
            path = found["path"]
        elif path and _KEPT_OLD.match(line):
            kept.setdefault(package, set()).add(path)
            path = ""
        elif found := _KEPT.fullmatch(line.strip()):
            kept.setdefault(found["name"], set()).add(found["path"])
    return {name: tuple(sorted(paths)) for name, paths in kept.items()}
