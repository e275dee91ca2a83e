"""An update of Windows is taken back by removing it; what cannot be removed is never called back.

That a removal counts is said by the second look alone: no KB, and the build below it again.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.cases.rollouts.build import KEY, START, facts, planned
from wavemend.errors import PlanError
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.execution.rollback_end import (
    RollbackEnd,
    Taken,
    decide_rollback,
    is_back,
    merged,
    version_results,
)
from wavemend.execution.ways_back import removal
from wavemend.hosts import Facts, InstalledPackage
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.packages import Target
from wavemend.plans import PlannedPackage

PRODUCT, OLD, NEW = "windows-server-2022", "10.0.20348.4171", "10.0.20348.4773"
ID, DEFENDER_ID = "b6f52c8e-5a7d-4c0b-9a36-507590600001", "0c0ffee0-5a7d-4c0b-9a36-226760200001"


def update(kb: str = "KB5075906", arch: str = ID, *, raises: str = NEW) -> PlannedPackage:
    return PlannedPackage(
        name=kb,
        arch=arch,
        installed="",
        target="r200",
        origin=f"2026-02 Cumulative Update ({kb})",
        lane="routine",
        builds=((PRODUCT, raises),) if raises else (),
    )


DEFINITIONS = update("KB2267602", DEFENDER_ID, raises="")
HOST = replace(planned("win1"), packages=(update(),))


def seen(build: str, *kbs: str, waits_for: tuple[str, ...] = ()) -> Facts:
    """Return facts of a host at a build, with these updates in."""
    rows = [_installed(PRODUCT, build, "x64")]
    rows += [_installed(kb, "r200", ID) for kb in kbs]
    # What the host's inventory of hotfixes names is no proof, and no obstacle.
    rows.append(_installed("KB5075906", "installed", "cbs"))
    return replace(
        facts("win1"),
        os_id="windows",
        codename=PRODUCT,
        os_version=build,
        installed=tuple(rows),
        reboot_reasons=waits_for,
    )


def _installed(name: str, version: str, arch: str) -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch=arch, source=name, source_version=version
    )


def decided(
    after: Facts,
    *,
    status: int = 0,
    state: JobState = JobState.ENDED,
    why: str = "",
    pending: str = "",
    log: bytes = b"",
) -> tuple[Outcome, str]:
    view = JobView(state=state, exit_status=status, log=log)
    look = Look(host="win1", at=START, facts=after, peer_key=KEY)
    rebooted = Rebooted(look=look, pending=pending)
    taken = Taken(followed=Followed(view=view), rebooted=rebooted, removes=True)
    results = version_results(HOST, after, {("KB5075906", ID): why}, whole=taken.exact)
    return decide_rollback(HOST, seen(NEW, "KB5075906"), taken, results, ())


def test_an_update_that_is_gone_with_its_build_is_taken_back() -> None:
    assert decided(seen(OLD)) == (Outcome.ROLLED_BACK, "the old versions are back")


def test_no_exit_status_makes_an_update_gone_that_the_second_look_sees() -> None:
    outcome, reason = decided(seen(NEW, "KB5075906"), why="DISM: the package is permanent")

    assert (outcome, reason) == (Outcome.FAILED, "KB5075906: DISM: the package is permanent")


def test_a_build_that_stays_up_is_no_removal_though_the_kb_is_gone() -> None:
    outcome, reason = decided(seen(NEW))

    assert outcome is Outcome.FAILED
    assert reason == f"KB5075906: {PRODUCT} is {NEW}, not below {NEW}"


def test_a_build_that_nobody_saw_proves_no_removal() -> None:
    unseen = replace(seen(OLD), installed=())

    assert decided(unseen)[0] is Outcome.FAILED


def test_a_search_that_failed_proves_no_removal_of_what_has_no_build() -> None:
    host = replace(HOST, packages=(update("KB5075000", raises=""),))
    blind = replace(seen(OLD), index_errors=("search: the WSUS answered 503",))

    assert is_back(host, seen(OLD), whole=True)
    assert not is_back(host, blind, whole=True)
    (result,) = version_results(host, blind, {}, whole=True)
    assert (result.outcome, result.detail) == (
        PackageOutcome.FAILED,
        "cannot be proven to be gone: search: the WSUS answered 503",
    )


def test_a_removal_that_waits_for_a_restart_needs_a_person_where_none_was_allowed() -> None:
    outcome, reason = decided(seen(NEW, waits_for=("cbs_reboot_pending",)))

    assert outcome is Outcome.NEEDS_HUMAN
    assert "it waits for a restart: cbs_reboot_pending" in reason


def test_a_removal_that_was_interrupted_is_never_guessed() -> None:
    outcome, reason = decided(seen(NEW, "KB5075906"), state=JobState.LOST)

    assert outcome is Outcome.NEEDS_HUMAN
    assert reason == "it was begun and its end is unknown; KB5075906: still at r200"


def test_another_change_on_the_host_means_that_nothing_was_begun() -> None:
    assert decided(seen(NEW, "KB5075906"), state=JobState.REFUSED_BUSY)[0] is Outcome.BLOCKED


def test_a_reason_ends_with_words_and_not_with_the_jobs_result_as_json() -> None:
    log = b'removing Package_for_RollupFix\nDISM ended with 0x800F0825\nWMS1:{"schema":1}\n'

    assert decided(seen(NEW, "KB5075906"), status=1, log=log)[1] == (
        "KB5075906: still at r200 (exit status 1: DISM ended with 0x800F0825)"
    )


def test_a_host_with_another_build_of_its_own_is_not_called_back() -> None:
    assert not is_back(HOST, seen("10.0.20348.5000"), whole=True)
    assert is_back(HOST, seen(OLD), whole=True)


def test_what_became_of_a_removed_update_is_in_the_attempts_report() -> None:
    before = PackageResult(
        name="KB5075906",
        arch=ID,
        before="",
        target="r200",
        after="r200",
        outcome=PackageOutcome.INSTALLED,
    )
    end = decided_end(seen(OLD))

    (result,) = merged("probe shop fails", (before,), end).packages
    assert (result.after, result.outcome, result.detail) == (
        "",
        PackageOutcome.FAILED,
        "taken back",
    )


def decided_end(after: Facts) -> RollbackEnd:
    outcome, detail = decided(after)
    return RollbackEnd(
        outcome=outcome, detail=detail, packages=version_results(HOST, after, {}, whole=True)
    )


# --- what can be removed at all -------------------------------------------------------------------


def targets(*packages: PlannedPackage) -> Sequence[Target]:
    manager = WindowsUpdateManager()
    return [manager.before_update(package) for package in packages]


def test_the_job_names_each_update_and_the_build_it_had_raised() -> None:
    way = removal(WindowsUpdateManager(), targets(update()))

    assert way.script is not None
    assert way.script.kind == "rollback"
    assert way.script.args == (
        '{"dry_run":false,"targets":[{"fixed_build":"10.0.20348.4773","kb":"KB5075906"}]}',
    )
    assert (way.removes, way.exact, way.stays) == (True, True, ())


def test_an_update_that_cannot_be_removed_keeps_no_other_one_on_the_host() -> None:
    way = removal(WindowsUpdateManager(), targets(update(), DEFINITIONS))

    assert [target.name for target in way.undoes] == ["KB5075906"]
    ((target, reason),) = way.stays
    assert target.name == "KB2267602"
    assert reason == "Defender's own updates replace each other and stay"


def test_where_nothing_can_be_removed_it_is_refused_with_every_reason() -> None:
    with pytest.raises(PlanError, match=r"KB2267602: Defender's own updates"):
        removal(WindowsUpdateManager(), targets(DEFINITIONS))
    with pytest.raises(PlanError, match="the change brought no update"):
        removal(WindowsUpdateManager(), ())
