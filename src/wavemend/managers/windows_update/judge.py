"""What a second look says about each update of a job. Pure.

A new search, the host's build, its servicing packages and the agent's history decide, in this
order of strength. The exit status and what the worker said of each update only explain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from wavemend.hosts import Facts, PendingUpdate
from wavemend.managers.reading.judging import judge_targets
from wavemend.managers.windows_update.naming import CBS, CHOCOLATEY
from wavemend.managers.windows_update.pending import LOOP
from wavemend.managers.windows_update.report import Item, ItemState, Report, read_report
from wavemend.managers.windows_update.targets import build_before, goes_back
from wavemend.outcomes import PackageOutcome, PackageResult
from wavemend.packages import JobEnd, Target
from wavemend.versions import windows_key

EXIT_MEANING: Mapping[int, str] = MappingProxyType(
    {
        0: "the worker reports success",
        1: "every update of the job failed",
        2: "some updates of the job failed",
        3: "nothing was installed",
        4: "the host must restart before anything can be installed",
        5: "the time for new installations was over before the job was done",
        6: "there is not enough room on the system drive",
        9: "the worker stopped with an error",
    }
)
"""What the workers end with; there are no others."""

_NO_BAD_END = frozenset({0, 3})
"""3 is none where the looks show that everything is in place: somebody else was faster."""


def explain_exit(status: int | None) -> str:
    """Say what an exit status means; one that no worker of ours has is unknown."""
    if status is None:
        return "the job's end was never recorded"
    return EXIT_MEANING.get(status, f"exit status {status}, which no worker ends with")


def end_trouble(status: int | None) -> str:
    """Say why an exit status is no good end; empty when it is one."""
    return "" if status is None or status in _NO_BAD_END else explain_exit(status)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Everything there is about one update."""

    target: Target
    was: str
    now: str
    before: Facts
    after: Facts
    planned: PendingUpdate | None
    """The offer before the change."""
    offer: PendingUpdate | None
    """The same update's offer after it."""
    item: Item | None
    end: str

    @property
    def restarted(self) -> bool:
        return self.before.boot_id != self.after.boot_id

    @property
    def cause(self) -> str:
        """Why it is not in place, in the worker's words, else in the exit status'."""
        return (self.item.words if self.item else "") or self.end


def judge(
    targets: Sequence[Target], before: Facts, after: Facts, end: JobEnd
) -> tuple[PackageResult, ...]:
    """Return one result per target, sorted by name and architecture."""
    report = read_report(end.log)
    packages = [target for target in targets if target.arch == CHOCOLATEY]
    results = [*judge_targets(packages, before, after, end, log=_ChocolateyLog(report))]
    for target in targets:
        if target.arch == CHOCOLATEY:
            continue
        case = _Case(
            target=target,
            was=before.version_of(target.name, target.arch),
            now=after.version_of(target.name, target.arch),
            before=before,
            after=after,
            planned=_offer(target, before),
            offer=_offer(target, after),
            item=report.of(target),
            end=f"{explain_exit(end.exit_status)}{report.trouble and ': '}{report.trouble}",
        )
        results.append(_result(case))
    return tuple(sorted(results, key=lambda result: (result.name, result.arch)))


def _result(case: _Case) -> PackageResult:
    if goes_back(case.target):
        outcome, detail = _taken_back(case)
    else:
        outcome, detail = _in_place(case) or _offered(case) or _vanished(case)
    return PackageResult(
        name=case.target.name,
        arch=case.target.arch,
        before=case.was,
        target=case.target.version,
        after=case.now,
        outcome=outcome,
        detail=detail,
    )


def _offer(target: Target, facts: Facts) -> PendingUpdate | None:
    return next((update for update in facts.pending if update.arch == target.arch), None)


_WAITS = "it takes effect with a restart"


def _in_place(case: _Case) -> tuple[PackageOutcome, str] | None:
    after = case.after
    if case.now == case.target.version:
        return PackageOutcome.INSTALLED, _WAITS if case.offer else ""
    if after.reboot_reasons and _proof(case, staged=True) and not _proof(case, staged=False):
        return PackageOutcome.INSTALLED, _WAITS
    if case.offer is not None:
        return None
    if reached := _proof(case, staged=False):
        return PackageOutcome.INSTALLED, f"proven by {reached}"
    name = case.target.name
    if after.version_of(name, CBS) and not case.before.version_of(name, CBS):
        return PackageOutcome.INSTALLED, "proven by Windows servicing"
    return None


def _proof(case: _Case, *, staged: bool) -> str:
    """Name the builds that prove an update; empty when one is missing, or none is known.

    `staged`: of Windows itself the build counts that it will have after its restart.
    """
    after, builds = case.after, case.planned.builds if case.planned else ()
    found = []
    for product, build in builds:
        is_windows = staged and product == after.codename
        now = after.newest_kernel if is_windows else after.version_of(product)
        if not _reaches(now, build):
            return ""
        found.append(f"{product} {now}")
    return ", ".join(found)


def _reaches(now: str, build: str) -> bool:
    try:
        return bool(now) and windows_key(now) >= windows_key(build)
    except ValueError:
        return False


def _offered(case: _Case) -> tuple[PackageOutcome, str] | None:
    """The update is offered still, or again: say why."""
    offer, item = case.offer, case.item
    if offer is None:
        return None
    if offer.candidate != case.target.version:
        changed = f"{case.target.version} is not offered any more, {offer.candidate} is"
        return PackageOutcome.NOT_OFFERED, f"{changed}: it needs a new plan"
    if offer.withheld.startswith(LOOP):
        return PackageOutcome.FAILED, offer.withheld
    if item is not None and item.state is ItemState.SUCCEEDED:
        return PackageOutcome.FAILED, _looped(case, item)
    if item is not None and item.state is ItemState.SKIPPED:
        return PackageOutcome.NOT_ATTEMPTED, f"not begun: {case.cause}"
    return PackageOutcome.FAILED, f"offered still: {case.cause}"


def _looped(case: _Case, item: Item) -> str:
    if case.restarted:
        why = "it was rolled back at the restart; look at CBS.log on the host"
    elif item.restart:
        return "installed, says the worker, and offered still: the host has not restarted since"
    else:
        why = "what its installer reported is not true"
    return f"{LOOP}: installed, says the worker, and offered again: {why}"


def _vanished(case: _Case) -> tuple[PackageOutcome, str]:
    """The update is not offered, and nothing proves that it is there."""
    if unknown := case.after.unsearched:
        return PackageOutcome.FAILED, f"cannot be proven: {unknown}"
    if case.item is not None and case.item.state is ItemState.FAILED:
        return PackageOutcome.FAILED, f"failed, and not offered any more: {case.cause}"
    newer = _newer(case)
    instead = f"{newer} is offered instead" if newer else "superseded, or withdrawn"
    return PackageOutcome.NOT_OFFERED, f"not offered any more: {instead}"


def _newer(case: _Case) -> str:
    """Name the update that raises the same product further."""
    wanted = dict(case.planned.builds) if case.planned else {}
    for update in case.after.pending:
        for product, build in update.builds:
            if product in wanted and _reaches(build, wanted[product]):
                return f"{update.name} ({build})"
    return ""


def _taken_back(case: _Case) -> tuple[PackageOutcome, str]:
    """Say whether an update that was to be removed is gone.

    History goes on naming what DISM has removed; the build says more, and so does a new offer.
    """
    after, build = case.after, build_before(case.target)
    running = after.version_of(after.codename) if after.codename else ""
    if build and running:
        gone = not _reaches(running, build)
    else:
        gone = case.offer is not None or not (case.now or after.unsearched)
    if gone:
        return PackageOutcome.INSTALLED, "taken back"
    item = case.item
    if item and item.state is ItemState.SUCCEEDED and item.restart and not case.restarted:
        return PackageOutcome.INSTALLED, "removed, which takes effect with a restart"
    if not case.now and (unknown := after.unsearched):
        return PackageOutcome.FAILED, f"cannot be proven to be gone: {unknown}"
    return PackageOutcome.FAILED, f"still there: {case.cause}"


@dataclass(frozen=True, slots=True)
class _ChocolateyLog:
    """Puts Chocolatey's part of a job into words; implements `reading.judging.LogReader`."""

    report: Report

    def explain_exit(self, status: int | None) -> str:
        """Say what the job's exit status means."""
        return explain_exit(status)

    def cause(self, target: Target, lines: Sequence[str]) -> str:  # noqa: ARG002 - the form
        """Return what the worker said of a package."""
        item = self.report.of(target)
        return item.words if item and item.state is not ItemState.SUCCEEDED else ""

    def kept(self, lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG002
        """Chocolatey keeps no configuration files."""
        return {}

    def failed(self, lines: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        """A package whose script failed is not at its version."""
        return {}
