"""What comes of a rollback is what a second look says; when it may begin, and what is signed."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from tests.cases.rollouts.build import END, KEY, PLAN, START, facts, package, planned
from wavemend.calendar.windows import Window
from wavemend.evidence import ProbeResult
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.execution.rollback_end import (
    Taken,
    decide_rollback,
    is_back,
    unnamed_version,
    version_results,
)
from wavemend.hosts import Facts, InstalledPackage
from wavemend.observations import Look
from wavemend.outcomes import Outcome
from wavemend.plans import PlannedPackage
from wavemend.rollbacks import (
    CaseHost,
    RollbackCase,
    RollbackRequest,
    last_start,
    time_refusal,
)

WEB = planned("web1")


def seen(*versions: str, name: str = "wm-fine") -> Facts:
    """Return facts of a host with these versions of a package side by side."""
    installed = tuple(
        InstalledPackage(name=name, version=v, arch="all", source=name, source_version=v)
        for v in versions
    )
    return replace(facts("web1"), installed=installed)


def job(state: JobState = JobState.ENDED, status: int | None = 0, log: bytes = b"") -> JobView:
    return JobView(state=state, exit_status=status, log=log)


def decided(
    view: JobView | None = None,
    after: Facts | None = None,
    *,
    trouble: str = "",
    probes: tuple[ProbeResult, ...] = (),
    pending: str = "",
) -> tuple[Outcome, str]:
    look = Look(host="web1", at=START, facts=after, reason="off", detail="no answer", peer_key=KEY)
    taken = Taken(
        followed=Followed(view=view or job(), trouble=trouble),
        rebooted=Rebooted(look=look, pending=pending),
    )
    packages = version_results(WEB, after, {})
    return decide_rollback(WEB, seen("2.0"), taken, packages, probes)


def test_the_old_version_seen_again_is_rolled_back_whatever_the_job_said() -> None:
    assert decided(after=seen("1.0")) == (Outcome.ROLLED_BACK, "the old versions are back")
    assert decided(job(status=100), seen("1.0"))[0] is Outcome.ROLLED_BACK
    assert decided(job(JobState.LOST, None), seen("1.0"))[0] is Outcome.ROLLED_BACK


def test_no_exit_status_and_no_words_make_a_new_version_old() -> None:
    view = job(log=b"all packages were downgraded successfully\n")

    assert decided(view, seen("2.0")) == (Outcome.FAILED, "wm-fine: still at 2.0")


def test_a_failure_says_how_the_job_ended_and_its_last_words() -> None:
    view = job(status=100, log=b"Reading\nE: Version '1.0' was not found\n\n")

    assert decided(view, seen("2.0"))[1] == (
        "wm-fine: still at 2.0 (exit status 100: E: Version '1.0' was not found)"
    )


@pytest.mark.parametrize("state", [JobState.ABSENT, JobState.REFUSED_FENCE, JobState.REFUSED_LATE])
def test_what_the_host_never_began_is_blocked(state: JobState) -> None:
    assert decided(job(state, None), seen("2.0"))[0] is Outcome.BLOCKED


@pytest.mark.parametrize(
    ("view", "after", "more", "outcome"),
    [
        (job(JobState.RUNNING, None), None, {"trouble": "lost: x"}, Outcome.NEEDS_HUMAN),
        (job(JobState.ENDED), None, {"trouble": "lost: x"}, Outcome.UNREACHABLE),
        (job(), None, {}, Outcome.UNREACHABLE),
        (job(JobState.LOST, None), seen("2.0"), {}, Outcome.NEEDS_HUMAN),
        (job(), seen("1.0"), {"pending": "its boot id has not changed"}, Outcome.NEEDS_HUMAN),
        (
            job(),
            seen("1.0"),
            {"probes": (ProbeResult(name="shop", ok=False, detail="503"),)},
            Outcome.NEEDS_HUMAN,
        ),
        (job(), replace(seen("1.0"), broken=seen("1.0").installed), {}, Outcome.FAILED),
    ],
)
def test_what_is_not_proven_well_is_never_rolled_back(
    view: JobView, after: Facts | None, more: dict[str, object], outcome: Outcome
) -> None:
    assert decided(view, after, **more)[0] is outcome  # type: ignore[arg-type]


def test_kernels_lie_side_by_side_and_the_newer_one_is_named() -> None:
    host = replace(WEB, packages=(package("kernel", "5.14-1", "5.14-2"),))
    after = seen("5.14-1", "5.14-2", name="kernel")

    assert is_back(host, after)
    (result,) = version_results(host, after, {})
    assert (result.after, result.detail) == ("5.14-1", "5.14-2 stays beside it")


def test_what_was_new_with_the_change_has_no_version_to_go_back_to() -> None:
    host = replace(WEB, packages=(package(), package("wm-extra", "", "2.0")))

    assert is_back(host, seen("1.0"))
    assert [result.name for result in version_results(host, seen("1.0"), {})] == ["wm-fine"]


# --- a whole disk that is put back ----------------------------------------------------------------

OLD, NEW = seen("1.0"), seen("2.0")
FAILED = job(status=1, log=b"cannot rollback: more recent snapshots exist\n")
LOST = job(JobState.LOST, None)


def restored(
    view: JobView, before: Facts | None, after: Facts, *, restarts: bool = False
) -> tuple[Outcome, str]:
    """Return what comes of a disk that was to be put back."""
    rebooted = Rebooted(look=Look(host="web1", at=START, facts=after, peer_key=KEY))
    taken = Taken(followed=Followed(view=view), rebooted=rebooted, whole=True, restarts=restarts)
    results = version_results(WEB, after, {}, whole=True)
    return decide_rollback(WEB, before, taken, results, ())


@pytest.mark.parametrize("before", [OLD, NEW, None])
def test_a_restore_that_failed_is_never_proven_by_versions_that_are_old_anyway(
    before: Facts | None,
) -> None:
    outcome, reason = restored(FAILED, before, OLD)

    assert outcome is Outcome.NEEDS_HUMAN
    assert "exit status 1: cannot rollback: more recent snapshots exist" in reason


def test_a_restore_whose_end_was_lost_is_proven_only_by_versions_seen_to_go_back() -> None:
    assert restored(LOST, NEW, OLD)[0] is Outcome.ROLLED_BACK
    assert restored(LOST, OLD, OLD)[0] is Outcome.NEEDS_HUMAN
    assert restored(LOST, None, OLD)[0] is Outcome.NEEDS_HUMAN
    assert restored(LOST, NEW, NEW)[0] is Outcome.NEEDS_HUMAN


def test_a_restore_that_takes_effect_with_a_restart_is_not_proven_without_one() -> None:
    again = replace(OLD, boot_id="another")

    assert restored(job(), NEW, OLD, restarts=True)[0] is Outcome.NEEDS_HUMAN
    assert restored(job(), NEW, again, restarts=True)[0] is Outcome.ROLLED_BACK


def test_with_a_disk_goes_what_was_new_and_with_packages_it_stays() -> None:
    host = replace(WEB, packages=(package("wm-extra", "", "2.0"),))
    after = seen("2.0", name="wm-extra")

    assert is_back(host, after)
    assert not is_back(host, after, whole=True)
    (result,) = version_results(host, after, {}, whole=True)
    assert (result.name, result.detail) == ("wm-extra", "still at 2.0")


@pytest.mark.parametrize(
    ("planned_package", "now", "words"),
    [
        (package(), ("3.0",), "wm-fine is 3.0, the change was from 1.0 to 2.0"),
        (package(), ("2.0",), ""),
        (package(), ("1.0",), ""),
        (package(), (), ""),
        (package("wm-fine", "", "2.0"), ("3.0",), "wm-fine is 3.0, the change was from nothing"),
    ],
)
def test_a_version_that_the_change_had_nothing_to_do_with_is_named(
    planned_package: PlannedPackage, now: tuple[str, ...], words: str
) -> None:
    found = unnamed_version(replace(WEB, packages=(planned_package,)), seen(*now))

    assert found.startswith(words)
    assert bool(found) == bool(words)


# --- when it may begin ---------------------------------------------------------------------------

NIGHT = Window(
    name="night",
    zone="UTC",
    start=time(22),
    days=frozenset(range(7)),
    duration=timedelta(hours=4),
    cutoff=timedelta(hours=1),
)
BY_POLICY = RollbackRequest(requested_by="profile linux", reason="probe")


def test_by_policy_it_may_begin_until_the_windows_end_past_the_cut_off() -> None:
    assert time_refusal(BY_POLICY, PLAN, END - timedelta(seconds=1)) == ""
    assert "it ended at" in time_refusal(BY_POLICY, PLAN, END)


def test_a_person_may_within_the_window_and_outside_by_saying_so() -> None:
    asked = replace(BY_POLICY, window=NIGHT)
    later = START + timedelta(days=3)

    assert time_refusal(asked, PLAN, later) == ""
    assert "night is not open" in time_refusal(asked, PLAN, later - timedelta(hours=2))
    assert time_refusal(replace(asked, outside_window=True), PLAN, later - timedelta(hours=2)) == ""


def test_the_host_gets_a_last_moment_to_begin_at_whoever_asks() -> None:
    asked, now = replace(BY_POLICY, window=NIGHT), START + timedelta(days=3)

    assert last_start(BY_POLICY, PLAN, START) == END
    assert now < last_start(asked, PLAN, now) <= now + timedelta(hours=4)
    assert last_start(replace(asked, outside_window=True), PLAN, now) == now + timedelta(hours=1)


# --- what is signed ------------------------------------------------------------------------------

CASE = RollbackCase(
    rollout="r-1",
    tenant="acme",
    plan_digest="sha256:plan",
    hosts=(CaseHost(host="db1", attempt_id="a-1"),),
    requested_by="olga",
    reason="slow",
)


@pytest.mark.parametrize(
    "change",
    [
        {"rollout": "r-2"},
        {"tenant": "other"},
        {"plan_digest": "sha256:other"},
        {"hosts": (CaseHost(host="db2", attempt_id="a-1"),)},
        {"hosts": (CaseHost(host="db1", attempt_id="a-2"),)},
        {"requested_by": "mallory"},
        {"reason": "because"},
        {"outside_window": True},
    ],
)
def test_another_case_has_another_digest(change: dict[str, object]) -> None:
    assert replace(CASE, **change).digest != CASE.digest  # type: ignore[arg-type]
    assert replace(CASE).digest == CASE.digest
