"""An update of Windows is planned with the build it brings, and proven by nothing else."""

from dataclasses import replace

import pytest

from tests.cases.windows_hosts import (
    BEFORE,
    FIXED,
    LCU,
    NOON,
    SERVER,
    WIN1,
    known,
    offered,
    planned,
    product,
    seen,
)
from wavemend.execution.builds import build_reached, proven
from wavemend.execution.conclude import decide
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.hosts import Facts, PendingUpdate
from wavemend.matching import Matcher
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome, PackageResult
from wavemend.planning.reboot_forecast import will_restart
from wavemend.plans import PlannedHost

HOST = seen(product(SERVER, BEFORE), offered())
RUNTIME = "net-8.0-installed-on-windows"
OF_RUNTIME = "KB5077863"


def test_the_plan_has_the_kb_with_its_cves_its_lane_its_due_date_and_its_build() -> None:
    (package,) = planned(HOST).host("win1").packages

    assert (package.name, package.target, package.lane) == (LCU, "r200", "emergency")
    assert len(package.cves) == 27
    assert package.due is not None
    assert package.builds == ((SERVER, FIXED),)
    assert package.restart is True


def with_updates(*updates: PendingUpdate) -> tuple[PlannedHost, Facts]:
    facts = Matcher(known()).understood(seen(product(SERVER, BEFORE, module="hotpatch"), *updates))
    return planned(facts).host("win1"), facts


@pytest.mark.parametrize(
    ("updates", "restarts"),
    [
        ((offered(LCU),), True),
        ((offered("KB5075943"),), False),
        ((offered("KB2267602"),), True),
        ((replace(offered("KB2267602"), restart=False),), False),
        ((offered("KB5075943"), replace(offered("KB2267602"), restart=False)), False),
        ((offered("KB5075943"), offered("KB890830")), True),
        ((offered("KB5050187"),), True),
        ((offered("KB5075943"), offered(LCU)), True),
    ],
    ids=[
        "ordinary",
        "hotpatch",
        "nobody says",
        "definitions",
        "both need none",
        "one unknown",
        "microsoft says maybe",
        "one does",
    ],
)
def test_a_host_goes_with_the_restarts_unless_all_its_updates_are_known_to_need_none(
    updates: tuple[PendingUpdate, ...], restarts: bool
) -> None:
    host, facts = with_updates(*updates)

    assert will_restart(host, facts, WIN1) is restarts
    assert will_restart(host, replace(facts, reboot_reasons=("cbs_reboot_pending",)), WIN1)


def said_installed() -> PackageResult:
    update = offered()
    return PackageResult(
        name=LCU,
        arch=update.arch,
        before="",
        target="r200",
        after="r200",
        outcome=PackageOutcome.INSTALLED,
        detail="",
    )


def after(build: str, *reasons: str, coming: str = "") -> Facts:
    return replace(
        seen(product(SERVER, build)), reboot_reasons=reasons, newest_kernel=coming or build
    )


@pytest.mark.parametrize(
    ("look", "outcome"),
    [
        (after(FIXED), PackageOutcome.INSTALLED),
        (after("10.0.20348.5000"), PackageOutcome.INSTALLED),
        (after(BEFORE), PackageOutcome.FAILED),
        (after("10.0.20348.4772"), PackageOutcome.FAILED),
        (after(BEFORE, coming=FIXED), PackageOutcome.FAILED),
        (after(BEFORE, "cbs_reboot_pending", coming=FIXED), PackageOutcome.INSTALLED),
        (after(BEFORE, "cbs_reboot_pending"), PackageOutcome.FAILED),
        (replace(after(FIXED), installed=()), PackageOutcome.FAILED),
    ],
    ids=[
        "there",
        "above",
        "unchanged",
        "one below",
        "staged, and no restart is asked for",
        "waits for its restart",
        "waits for another one",
        "no build is seen",
    ],
)
def test_an_update_said_to_be_installed_has_failed_while_its_build_is_not_there(
    look: Facts, outcome: PackageOutcome
) -> None:
    host = planned(HOST).host("win1")
    (result,) = proven([said_installed()], host, look)

    assert result.outcome is outcome


@pytest.mark.parametrize(
    ("build", "outcome", "reason"),
    [
        (FIXED, Outcome.PATCHED, ""),
        (
            BEFORE,
            Outcome.FAILED,
            f"{LCU}: said to be installed, but {SERVER} is {BEFORE}, below {FIXED}",
        ),
    ],
)
def test_a_job_that_ended_well_makes_no_host_patched_whose_build_is_below(
    build: str, outcome: Outcome, reason: str
) -> None:
    look = Look(host="win1", at=NOON, facts=after(build))
    results = proven([said_installed()], planned(HOST).host("win1"), after(build))
    job = Followed(view=JobView(state=JobState.ENDED, exit_status=0))

    assert decide(job, HOST, Rebooted(look=look), results, ()) == (outcome, reason)


def test_what_has_not_been_installed_keeps_its_own_reason() -> None:
    held = replace(said_installed(), outcome=PackageOutcome.HELD, detail="on hold")

    assert proven([held], planned(HOST).host("win1"), after(BEFORE)) == (held,)


def test_whether_a_build_is_reached_is_not_said_where_it_is_not_seen() -> None:
    (package,) = planned(HOST).host("win1").packages

    assert build_reached(package, after(FIXED)) is True
    assert build_reached(package, after(BEFORE)) is False
    assert build_reached(package, replace(after(FIXED), installed=())) is None
    assert build_reached(replace(package, builds=()), after(FIXED)) is None


def test_the_newest_of_runtimes_beside_each_other_proves_their_update() -> None:
    host = seen(product(SERVER, FIXED), offered(OF_RUNTIME))
    before = replace(host, installed=(*host.installed, product(RUNTIME, "8.0.20")))
    (package,) = planned(Matcher(known()).understood(before)).host("win1").packages
    both = replace(before, installed=(*before.installed, product(RUNTIME, "8.0.24")))

    assert package.builds == ((RUNTIME, "8.0.24"),)
    assert build_reached(package, before) is False
    assert build_reached(package, both) is True
