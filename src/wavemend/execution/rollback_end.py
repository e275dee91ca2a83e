"""What came of a rollback: the second look decides, as it does for a change. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wavemend.evidence import Evidence, ProbeResult
from wavemend.execution.builds import build_reached
from wavemend.execution.conclude import Conclusion
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState
from wavemend.execution.reboot import Rebooted
from wavemend.execution.windows_jobs import words_of
from wavemend.hosts import Facts
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.plans import PlannedHost, PlannedPackage
from wavemend.rollbacks import AT_NEXT_BOOT, BY_HAND

_NEVER_BEGUN: dict[JobState, str] = {
    JobState.REFUSED_BUSY: "another change runs on the host",
    JobState.ABSENT: "the host never began it",
    JobState.REFUSED_FENCE: "the host has seen a newer controller and refused this one",
    JobState.REFUSED_LATE: "window: by the host's own clock it has ended",
}

_WORDS = 300
"""Characters of a job's last words that go into a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackEnd:
    """What a rollback ended with. `blocked`: nothing was begun, the host is as it was."""

    outcome: Outcome
    detail: str
    packages: tuple[PackageResult, ...] = ()
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was seen of the way back: how its job ended, and the host afterwards."""

    followed: Followed
    rebooted: Rebooted
    whole: bool = False
    """A whole disk was to be put back: its packages alone do not prove that it was."""
    removes: bool = False
    """What the change brought new was to be taken away again."""
    restarts: bool = False
    """It takes effect with the next boot."""
    refused: str = ""
    """Why an earlier process' intent was not begun."""
    bad_end: str = ""
    """Why the package manager's exit status is no good end: what no look sees may be missing."""

    @property
    def exact(self) -> bool:
        """Nothing of the new may be left for it to count."""
        return self.whole or self.removes


def is_back(planned: PlannedHost, facts: Facts | None, *, whole: bool = False) -> bool:
    """True when every planned package that had an older version is at it again.

    Kernels lie side by side: there the old one is back when it is one of those installed.
    `whole`: with the disk, so that nothing of the new is left either.
    """
    return facts is not None and all(
        _at_old(package, facts, whole=whole) for package in planned.packages
    )


def unnamed_version(planned: PlannedHost, facts: Facts) -> str:
    """Say which package is at a version that the change had nothing to do with; or nothing."""
    for package in planned.packages:
        now = _versions(facts, package)
        if now and not {package.installed, package.target} & set(now):
            named = f"{package.installed or 'nothing'} to {package.target}"
            return f"{package.name} is {' and '.join(now)}, the change was from {named}"
    return ""


def _at_old(package: PlannedPackage, facts: Facts, *, whole: bool) -> bool:
    now = _versions(facts, package)
    is_there = not package.installed or package.installed in now
    return is_there and not (whole and (package.target in now or _build_left(package, facts)))


def _build_left(package: PlannedPackage, facts: Facts) -> str:
    """Say at which build a host still is that an update of Windows had raised; or nothing.

    A build that nobody saw proves nothing; nor does a search that failed, where there is no build.
    """
    if not package.builds and facts.os_id == "windows" and facts.unsearched:
        return f"cannot be proven to be gone: {facts.unsearched}"
    if not package.builds or build_reached(package, facts) is False:
        return ""
    product, build = package.builds[0]
    return f"{product} is {facts.version_of(product) or 'at a build unseen'}, not below {build}"


def version_results(
    planned: PlannedHost,
    facts: Facts | None,
    why: Mapping[tuple[str, str], str],
    *,
    whole: bool = False,
) -> tuple[PackageResult, ...]:
    """Return per package whether its old version is back; what was new had none.

    `why`: the package manager's own words about a package that is not, by name and architecture.
    """
    results = []
    for package in planned.packages:
        now = _versions(facts, package) if facts else ()
        back = facts is not None and _at_old(package, facts, whole=whole)
        if not package.installed and not whole:
            continue
        said = why.get((package.name, package.arch)) or _missed(package, facts)
        results.append(
            PackageResult(
                name=package.name,
                arch=package.arch,
                before=package.target,
                target=package.installed,
                after=package.installed if back else next(iter(now), ""),
                outcome=PackageOutcome.INSTALLED if back else PackageOutcome.FAILED,
                detail=_beside(package, now) if back else said,
            )
        )
    return tuple(sorted(results, key=lambda result: (result.name, result.arch)))


def _versions(facts: Facts, package: PlannedPackage) -> tuple[str, ...]:
    arch = package.arch
    return tuple(
        found.version
        for found in facts.installed
        if found.name == package.name and arch in {"", found.arch, "all"}
    )


def _missed(package: PlannedPackage, facts: Facts | None) -> str:
    if facts is None:
        return "not seen since"
    now = _versions(facts, package)
    if now:
        return f"still at {' and '.join(now)}"
    return _build_left(package, facts) or "it is not installed any more"


def _beside(package: PlannedPackage, now: tuple[str, ...]) -> str:
    return f"{package.target} stays beside it" if package.target in now else ""


def decide_rollback(
    planned: PlannedHost,
    before: Facts | None,
    taken: Taken,
    packages: tuple[PackageResult, ...],
    probes: tuple[ProbeResult, ...],
) -> tuple[Outcome, str]:
    """Return a rollback's outcome and its reason."""
    followed, rebooted = taken.followed, taken.rebooted
    view, facts = followed.view, rebooted.look.facts
    if followed.trouble:
        return _unseen(followed)
    if view is not None and view.state in _NEVER_BEGUN:
        return Outcome.BLOCKED, taken.refused or _NEVER_BEGUN[view.state]
    if facts is None:
        return Outcome.UNREACHABLE, f"{rebooted.look.reason}: {rebooted.look.detail}"
    if trouble := _not_restarted(taken) or rebooted.trouble:
        return Outcome.NEEDS_HUMAN, f"{AT_NEXT_BOOT}: {trouble}"
    if not is_back(planned, facts, whole=taken.exact):
        return _not_back(followed, packages, facts if taken.removes else None)
    if taken.whole and (reason := _unproven(planned, before, taken, facts)):
        return Outcome.NEEDS_HUMAN, f"the old versions are there, but {reason}"
    known = {(p.name, p.arch) for p in before.broken} if before else set()
    if broken := [p for p in facts.broken if (p.name, p.arch) not in known]:
        names = ", ".join(f"{p.name} ({p.status})" for p in broken)
        return Outcome.FAILED, f"packages are not whole afterwards: {names}"
    if taken.bad_end:
        return Outcome.FAILED, f"the old versions are back, but {taken.bad_end}"
    if bad := [probe for probe in probes if not probe.ok]:
        reason = f"the old versions are back, and probe {bad[0].name} fails: {bad[0].detail}"
        return Outcome.NEEDS_HUMAN, reason
    stays = "".join(f"; {r.name}: {r.detail}" for r in packages if r.detail)
    due = f"; a restart is due: {', '.join(facts.reboot_reasons)}" if facts.reboot_reasons else ""
    return Outcome.ROLLED_BACK, f"the old versions are back{stays}{due}"


def _not_restarted(taken: Taken) -> str:
    """Say why a restart has not been seen, and what a person does about it; empty when it was."""
    if not taken.rebooted.pending:
        return ""
    held = "; nothing else is begun on it before" if taken.restarts else ""
    return f"{taken.rebooted.pending}{held}: {BY_HAND}"


def _not_back(
    followed: Followed, packages: tuple[PackageResult, ...], removed_from: Facts | None
) -> tuple[Outcome, str]:
    """Return what it means that not everything is back.

    `removed_from`: the host, where updates were removed: that often ends with a restart only.
    """
    missed = [result for result in packages if result.outcome is PackageOutcome.FAILED]
    first = next(iter(missed or packages), None)
    reason = f"{first.name}: {first.detail}" if first else "the old versions are not back"
    view = followed.view
    if view is not None and view.state is JobState.LOST:
        return Outcome.NEEDS_HUMAN, f"it was begun and its end is unknown; {reason}"
    if removed_from is not None and removed_from.reboot_reasons:
        due = ", ".join(removed_from.reboot_reasons)
        return Outcome.NEEDS_HUMAN, f"{reason}; it waits for a restart: {due}"
    return Outcome.FAILED, f"{reason}{_last_words(followed)}"


def _unproven(planned: PlannedHost, before: Facts | None, taken: Taken, facts: Facts) -> str:
    """Say why old versions do not prove that a disk was put back; empty when that is proven.

    A change that failed may have left them in place, and so may a restore that did.
    """
    view = taken.followed.view
    if view is None or view.state is not JobState.ENDED:
        # A disk that was put back in place does not remember the job that did it.
        if before is None or is_back(planned, before, whole=True):
            return "it was begun and its end is unknown"
    elif view.exit_status != 0:
        return f"putting the restore point back failed{_last_words(taken.followed)}"
    in_old_boot = before is None or facts.boot_id == before.boot_id
    if taken.restarts and in_old_boot and not taken.rebooted.happened:
        return f"{AT_NEXT_BOOT}, and none was seen"
    return ""


def _unseen(followed: Followed) -> tuple[Outcome, str]:
    if followed.view is not None and followed.view.state is JobState.RUNNING:
        return Outcome.NEEDS_HUMAN, f"its end was not seen: {followed.trouble}"
    return Outcome.UNREACHABLE, f"after its start: {followed.trouble}"


def _last_words(followed: Followed) -> str:
    """Return how the job ended, and its last line: an explanation, never a verdict."""
    view = followed.view
    if view is None or view.exit_status in {0, None}:
        return ""
    log = words_of(view.log).decode(errors="replace")
    lines = [line for line in log.splitlines() if line.strip()]
    said = f": {lines[-1].strip()[:_WORDS]}" if lines else ""
    return f" (exit status {view.exit_status}{said})"


def merged(reason: str, packages: tuple[PackageResult, ...], end: RollbackEnd) -> Conclusion:
    """Return how an attempt ends whose host was to be taken back: never better than that went."""
    if end.outcome is Outcome.ROLLED_BACK:
        outcome, told = Outcome.ROLLED_BACK, f"{reason}; taken back: {end.detail}"
    elif end.outcome is Outcome.BLOCKED:
        outcome, told = Outcome.FAILED, f"{reason}; not taken back: {end.detail}"
    else:
        outcome, told = end.outcome, f"{reason}; taking it back: {end.detail}"
    now = {(result.name, result.arch): result.after for result in end.packages}
    seen = tuple(_as_it_is_now(result, now) for result in packages)
    return Conclusion(outcome=outcome, reason=told, packages=seen, evidence=end.evidence)


def _as_it_is_now(result: PackageResult, now: Mapping[tuple[str, str], str]) -> PackageResult:
    after = now.get((result.name, result.arch), result.after)
    if after != result.before:
        return replace(result, after=after)
    return replace(result, after=after, outcome=PackageOutcome.FAILED, detail="taken back")
