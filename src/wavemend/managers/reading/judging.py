"""What a second look says about each package of a transaction, for every package manager. Pure.

The versions in the second look decide. The exit status and the log only explain: text that a
package prints never makes an outcome better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from wavemend.hosts import Facts, InstalledPackage, PendingUpdate
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, Target


class LogReader(Protocol):
    """How one manager's exit statuses and logs are put into words."""

    def explain_exit(self, status: int | None) -> str:
        """Say what an exit status means; one that the manager does not document is unknown."""
        ...

    def cause(self, target: Target, lines: Sequence[str]) -> str:
        """Return the log's own words about why a package failed; empty where it has none."""
        ...

    def kept(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Return per package the configuration files that were left as the host had them."""
        ...

    def failed(self, lines: Sequence[str]) -> Mapping[str, str]:
        """Return per package what failed although its version came in: a script, a hook.

        Under the empty name: what belongs to all packages of the transaction.
        """
        ...


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
    replaced: tuple[str, ...]
    failed: str
    goes_back: bool


def _never(version: str, other: str, /) -> bool:  # noqa: ARG001 - the form of an order of versions
    return False


def judge_targets(
    targets: Sequence[Target],
    before: Facts,
    after: Facts,
    end: JobEnd,
    *,
    log: LogReader,
    replaced: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    older: Callable[[str, str], bool] = _never,
) -> tuple[PackageResult, ...]:
    """Return one result per target, sorted by name and architecture.

    `replaced`: per package the edited configuration files that gave way to the package's own.
    `older`: the manager's order of versions: an undo goes back, and what it goes back to is never
    among what is offered.
    """
    lines = end.log.decode(errors="replace").replace("\r", "\n").split("\n")
    kept, failed = log.kept(lines), log.failed(lines)
    results = []
    for target in sorted(targets):
        case = _Case(
            target=target,
            was=before.version_of(target.name, target.arch),
            now=after.version_of(target.name, target.arch),
            half=_broken(target, after),
            offer=_offer(target, after),
            after=after,
            cause=log.cause(target, lines) or log.explain_exit(end.exit_status),
            kept=kept.get(target.name, ()),
            replaced=replaced.get(target.name, ()),
            goes_back=older(target.version, before.version_of(target.name, target.arch)),
            failed=failed.get(target.name, failed.get("", "")),
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
    if case.failed:
        return PackageOutcome.FAILED, f"at {case.now}, but {case.failed}"
    if case.kept:
        return PackageOutcome.CONFFILE_KEPT, f"kept the host's own {', '.join(case.kept)}"
    if case.replaced:
        files = ", ".join(case.replaced)
        return PackageOutcome.INSTALLED, f"replaced {files}; the host's own is beside it"
    return PackageOutcome.INSTALLED, ""


def _not_reached(case: _Case) -> tuple[PackageOutcome, str] | None:
    """The package was touched, by whomever, and is not at its target."""
    if case.half is not None:
        state = f"{case.half.status}, {case.half.version}"
        return PackageOutcome.FAILED, f"half done ({state}): {case.cause}"
    if not case.now:
        gone = "not installed any more" if case.was else "not installed"
        return PackageOutcome.FAILED, f"{gone}: {case.cause}"
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
    if gone and not case.after.index_errors and not case.goes_back:
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
