"""Patched means that every planned package is there; an exit status alone never says it."""

from dataclasses import replace

import pytest

from tests.cases.rollouts.build import NOON, facts
from wavemend.evidence import ProbeResult
from wavemend.execution.conclude import decide
from wavemend.execution.follow import Followed
from wavemend.execution.jobs import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.hosts import InstalledPackage
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
    probes: tuple[ProbeResult, ...] = (),
) -> tuple[Outcome, str]:
    rebooted = Rebooted(look=look, pending=pending)
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


def test_a_host_that_refused_the_fence_is_not_attempted_whatever_else_is_seen_there() -> None:
    refused = Followed(view=JobView(state=JobState.REFUSED_FENCE))

    assert judge(result(PackageOutcome.HELD), followed=refused)[0] is Outcome.NOT_ATTEMPTED
    assert judge(look=GONE, followed=refused)[0] is Outcome.NOT_ATTEMPTED


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
