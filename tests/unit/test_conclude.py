"""Patched means that every planned package is there; an exit status alone never says it."""

from dataclasses import replace

import pytest

from tests.cases.rollouts.build import NOON, facts
from wavemend.evidence import ProbeResult
from wavemend.execution.conclude import decide
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.hosts import InstalledPackage, ManagerOptions
from wavemend.managers import MANAGERS
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult

FACTS = facts("web1")
SEEN = Look(host="web1", at=NOON, facts=FACTS)
GONE = Look(host="web1", at=NOON, facts=None, reason="off", detail="no answer")
REACHED = (PackageOutcome.INSTALLED, PackageOutcome.CONFFILE_KEPT)
MISSED = tuple(outcome for outcome in PackageOutcome if outcome not in REACHED)
HALF = InstalledPackage(name="zip", arch="amd64", version="3.0", source="zip", source_version="3.0")


def result(outcome: PackageOutcome, name: str = "zip", detail: str = "") -> PackageResult:
    return PackageResult(
        name=name,
        arch="amd64",
        before="1.0",
        target="2.0",
        after="2.0" if outcome in REACHED else "1.0",
        outcome=outcome,
        detail=detail,
    )


def ended(exit_status: int) -> Followed:
    return Followed(view=JobView(state=JobState.ENDED, exit_status=exit_status))


def judge(
    *packages: PackageResult,
    followed: Followed | None = None,
    look: Look = SEEN,
    pending: str = "",
    trouble: str = "",
    probes: tuple[ProbeResult, ...] = (),
) -> tuple[Outcome, str]:
    rebooted = Rebooted(look=look, pending=pending, trouble=trouble)
    return decide(followed or ended(0), FACTS, rebooted, packages, probes)


@pytest.mark.parametrize("exit_status", [0, 100])
@pytest.mark.parametrize("missed", MISSED)
def test_a_planned_package_that_is_not_there_makes_the_host_failed(
    missed: PackageOutcome, exit_status: int
) -> None:
    packages = (result(PackageOutcome.INSTALLED, "jq"), result(missed))

    outcome, reason = judge(*packages, followed=ended(exit_status))

    assert (outcome, reason) == (Outcome.FAILED, f"zip: {missed}, not at its target version")


def test_the_reason_is_the_package_that_failed_before_those_that_were_left_alone() -> None:
    held = result(PackageOutcome.HELD, "aa", "on hold on the host")
    failed = result(PackageOutcome.FAILED, "zz", "postinst ended with 1")

    assert judge(held, failed) == (Outcome.FAILED, "zz: postinst ended with 1")
    assert judge(held) == (Outcome.FAILED, "aa: on hold on the host")


@pytest.mark.parametrize("reached", REACHED)
def test_what_is_there_counts_whatever_the_exit_status_was(reached: PackageOutcome) -> None:
    assert judge(result(reached), followed=ended(100)) == (Outcome.PATCHED, "")


def test_an_end_that_may_hide_what_no_look_sees_makes_the_host_failed() -> None:
    rebooted = Rebooted(look=SEEN)
    there = (result(PackageOutcome.INSTALLED),)

    found = decide(ended(107), FACTS, rebooted, there, (), bad_end="a script")

    assert found == (Outcome.FAILED, "every version is in place, but a script")


OPTIONS = ManagerOptions()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("apk", (None, 0), (1, 76, 99, 200)),
        ("apt", (None, 0, 100), (1, 2, 137)),
        ("dnf", (0,), (None, 1, 3, 100, 200)),
        ("pacman", (0,), (None, 1, 127)),
        ("zypper", (0, 102, 103, 106), (None, 1, 4, 8, 107, 200, 255)),
    ],
)
def test_each_manager_says_which_exit_statuses_are_a_good_end_and_every_other_one_is_none(
    name: str, good: tuple[int | None, ...], bad: tuple[int | None, ...]
) -> None:
    """None is an end that was never recorded: good where each package shows its own."""
    joined = ManagerOptions(sources=("flatpak",))
    for manager in (MANAGERS[name](OPTIONS), MANAGERS[name](joined)):
        assert [manager.end_trouble(status) for status in good] == [""] * len(good)
        assert all(manager.end_trouble(status) for status in bad)


def test_a_reboot_that_was_due_and_not_seen_is_pending_even_without_a_reason_on_the_host() -> None:
    done, why = result(PackageOutcome.INSTALLED), "not rebooted: stopped: fire"
    asking = replace(SEEN, facts=replace(FACTS, reboot_reasons=("kernel 6.2 is newer",)))

    assert judge(done, pending=why) == (Outcome.PATCHED_REBOOT_PENDING, why)
    assert judge(done, look=asking, pending=why) == (
        Outcome.PATCHED_REBOOT_PENDING,
        f"{why}; kernel 6.2 is newer",
    )


def test_a_host_that_is_not_seen_after_the_change_is_unreachable_even_if_a_reboot_is_pending() -> (
    None
):
    outcome, reason = judge(look=GONE, pending="it was told to reboot")

    assert (outcome, reason) == (Outcome.UNREACHABLE, "after the change: off: no answer")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState.REFUSED_FENCE, "newer controller"),
        (JobState.REFUSED_LATE, "window: "),
        (JobState.REFUSED_BUSY, "another job"),
    ],
)
def test_a_host_that_refused_the_start_is_not_attempted_whatever_else_is_seen_there(
    state: JobState, words: str
) -> None:
    refused = Followed(view=JobView(state=state))

    outcome, reason = judge(result(PackageOutcome.HELD), followed=refused)
    assert outcome is Outcome.NOT_ATTEMPTED
    assert words in reason
    assert judge(look=GONE, followed=refused)[0] is Outcome.NOT_ATTEMPTED


def test_a_restart_that_went_wrong_is_failed_and_never_pending() -> None:
    done = result(PackageOutcome.INSTALLED)

    assert judge(done, trouble="boot loop", pending="kernel 6.2 is newer") == (
        Outcome.FAILED,
        "after the restart: boot loop",
    )


def test_what_the_change_broke_of_the_way_to_boot_is_failed_and_an_older_fault_is_not() -> None:
    done = result(PackageOutcome.INSTALLED)
    faulty = replace(FACTS, boot_faults=("no initrd for 6.2",))

    assert judge(done, look=replace(SEEN, facts=faulty)) == (
        Outcome.FAILED,
        "it might not come up again: no initrd for 6.2",
    )
    rebooted = Rebooted(look=replace(SEEN, facts=faulty))
    assert decide(ended(0), faulty, rebooted, (done,), ()) == (Outcome.PATCHED, "")


def test_packages_that_broke_during_the_change_and_failed_probes_make_the_host_failed() -> None:
    done = result(PackageOutcome.INSTALLED)
    broken = replace(SEEN, facts=replace(FACTS, broken=(replace(HALF, status="iF"),)))
    bad = ProbeResult(name="shop", ok=False, detail="no answer")

    assert judge(done, look=broken)[0] is Outcome.FAILED
    assert judge(done, probes=(bad,)) == (Outcome.FAILED, "probe shop: no answer")


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        (JobView(state=JobState.RUNNING), Outcome.NEEDS_HUMAN),
        (None, Outcome.UNREACHABLE),
    ],
)
def test_a_job_whose_end_was_not_seen_is_never_guessed(
    view: JobView | None, outcome: Outcome
) -> None:
    followed = Followed(view=view, trouble="off: no answer")

    assert judge(result(PackageOutcome.INSTALLED), followed=followed)[0] is outcome
