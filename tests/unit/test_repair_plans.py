"""A repair rollout plans what a transaction left half done, each host behind a signature.

What was half done is what is approved; success is that nothing is half done any more.
"""

import json
from dataclasses import replace

import pytest

from tests.cases.rollouts.build import (
    NOON,
    OCCASION,
    PLAN,
    PROFILE,
    candidate,
    facts,
    host,
    plan_of,
    wave,
)
from wavemend.documents import canonical, sha256
from wavemend.evidence import ProbeResult
from wavemend.execution.conclude import decide
from wavemend.execution.drift import repaired_results
from wavemend.execution.follow import Followed
from wavemend.execution.job_answers import JobState, JobView
from wavemend.execution.reboot import Rebooted
from wavemend.fleet import FeedSettings, Fleet, RolloutKey, RolloutKind
from wavemend.hosts import LOCK_LEFT_BEHIND, Facts, FreeSpace, InstalledPackage
from wavemend.managers.apt import APT
from wavemend.observations import Look
from wavemend.outcomes import Outcome, PackageOutcome
from wavemend.planning import Candidate, make_plan
from wavemend.plans import ExcludedHost, PlannedHost, load_plan
from wavemend.policy.care import Unready
from wavemend.policy.profiles import RebootRule
from wavemend.readiness import judge_look
from wavemend.rollout import AskApproval, Prepare, RolloutView, Standing, next_action
from wavemend.steps.freeze_repairs import plan_repair


def package(name: str = "wm-slow", version: str = "2.0", status: str = "ii") -> InstalledPackage:
    return InstalledPackage(
        name=name, version=version, arch="all", source=name, source_version=version, status=status
    )


HALF = package(status="iF")
CALM = facts("web1")
BROKEN = replace(CALM, broken=(HALF,))
DEFECT = "wm-slow 2.0 (iF)"


def planned(seen: Candidate, **without: str) -> PlannedHost | ExcludedHost:
    return plan_repair(without, seen, PROFILE)


# --- the plan ------------------------------------------------------------------------------------


def test_a_host_with_half_done_packages_is_planned_with_them_and_installs_nothing() -> None:
    made = planned(candidate("web1", facts_of=BROKEN))

    assert isinstance(made, PlannedHost)
    assert (made.repairs, made.packages, made.reboot) == ((DEFECT,), (), RebootRule.IF_NEEDED)
    assert made.critical, "no host is repaired without a signature"


def test_a_lock_that_nobody_holds_is_repaired_though_every_package_is_whole() -> None:
    made = planned(candidate("web1", facts_of=replace(CALM, lock_holder=LOCK_LEFT_BEHIND)))

    assert isinstance(made, PlannedHost)
    assert made.repairs == ("the package manager's lock, which nobody holds",)


def test_a_host_at_which_somebody_works_right_now_is_not_planned() -> None:
    """What is half done in the middle of another transaction needs no repair."""
    busy = replace(BROKEN, lock_holder="unattended-upgr (812)")

    made = planned(candidate("web1", facts_of=busy))

    assert isinstance(made, ExcludedHost)
    assert made.reason == (
        "preflight: lock: the package manager is in use by unattended-upgr (812)"
    )


def test_a_dead_lock_keeps_a_host_from_updates_and_is_no_lock_that_ends_by_itself() -> None:
    dead = Look(host="web1", at=NOON, facts=replace(CALM, lock_holder=LOCK_LEFT_BEHIND))

    (problem,) = judge_look(dead).blocking
    assert str(problem) == (
        "packages: packages are not whole: the package manager's lock, which nobody holds"
    )
    assert judge_look(dead, kind=RolloutKind.REPAIR).ready


@pytest.mark.parametrize("seen", [CALM, replace(CALM, free_space=(FreeSpace("/", 10, 10),))])
def test_a_host_with_nothing_half_done_takes_no_part_however_it_is_otherwise(seen: Facts) -> None:
    assert planned(candidate("web1", facts_of=seen)) == ExcludedHost(
        name="web1", outcome=Outcome.NOTHING_TO_DO, reason="nothing of its packages is half done"
    )


def test_a_host_that_is_not_fit_for_a_repair_is_excluded_with_the_reason() -> None:
    late = replace(BROKEN, clock_skew_seconds=99.0)

    unseen = planned(candidate("web1", reason="off"))
    skipped = planned(candidate("web1", facts_of=late))
    blocked = planned(candidate("web1", facts_of=BROKEN), web1="box declares no repair")

    assert isinstance(unseen, ExcludedHost)
    assert unseen.outcome is Outcome.UNREACHABLE
    assert isinstance(skipped, ExcludedHost)
    assert (skipped.outcome, skipped.reason) == (
        Outcome.SKIPPED,
        "preflight: clock: its clock is 99 s off",
    )
    assert blocked == ExcludedHost(
        name="web1", outcome=Outcome.BLOCKED, reason="box declares no repair"
    )


def test_half_done_packages_block_a_rollout_of_updates_and_none_of_repairs() -> None:
    look = Look(host="web1", at=NOON, facts=BROKEN)

    assert not judge_look(look).ready
    assert not judge_look(look, kind=RolloutKind.RESTART).ready
    repair = judge_look(look, kind=RolloutKind.REPAIR)
    assert repair.ready
    assert [problem.check for problem in repair.problems] == ["packages"], "it is told all the same"


def test_every_host_is_in_the_critical_wave_whatever_the_fleet_and_the_profile_say() -> None:
    """As `freeze_repairs` does: the candidates are critical, so no pilot takes them."""
    strict = replace(PROFILE, unready=Unready.BLOCK)
    seen = [
        candidate(name, critical=True, facts_of=replace(BROKEN, machine_id=name))
        for name in ("web2", "web1")
    ]
    plan = make_plan(
        replace(OCCASION, kind=RolloutKind.REPAIR),
        strict,
        [*seen, candidate("web3", critical=True, facts_of=CALM)],
        (),
        plan_host=lambda each, profile: plan_repair({}, each, profile),
    )

    assert [(each.name, each.kind, each.hosts) for each in plan.waves] == [
        ("critical", "critical", ("web1", "web2"))
    ]
    assert [left.name for left in plan.excluded] == ["web3"]


def test_a_repair_waits_for_its_signature_and_then_gets_a_restore_point_as_an_update_does() -> None:
    plan = plan_of(wave(1, "db1", kind="critical", concurrency=1))
    repair = replace(plan, hosts=(replace(plan.hosts[0], packages=(), repairs=(DEFECT,)),))
    view = RolloutView(steps=frozenset({"prepared"}))
    approved = replace(view, standing=Standing.APPROVED)

    assert isinstance(next_action(repair, view, repair.window_start), AskApproval)
    made = next_action(repair, approved, repair.window_start)
    assert made == next_action(plan, approved, plan.window_start)
    assert made == Prepare(("db1",), step="prepared critical-1")


def test_a_repair_is_of_the_hosts_that_are_patched_in_the_same_window() -> None:
    web, other = (
        replace(host(name), profile="linux", window=window)
        for name, window in (("web1", "night"), ("web2", "sunday"))
    )
    fleet = Fleet(
        schema="wavemend.fleet/1",
        tenants=(),
        approvers=(),
        profiles=(PROFILE,),
        windows=(),
        groups=(),
        logins=(),
        hosts=(web, other),
        feeds=FeedSettings(),
    )
    key = RolloutKey(tenant="acme", profile="linux", window="night", kind=RolloutKind.REPAIR)

    assert key in fleet.repairs()
    assert len(fleet.repairs()) == len(fleet.rollouts()) == 2
    assert [each.name for each in fleet.members(key)] == ["web1"]
    assert str(key) == "repair:acme/linux/night", "a rollout of its own beside the updates'"


def test_what_is_repaired_is_in_the_digest_that_is_signed() -> None:
    host_of = PLAN.hosts[0]
    digests = {
        replace(PLAN, hosts=(replace(host_of, repairs=repairs), *PLAN.hosts[1:])).digest
        for repairs in ((), (DEFECT,), ("zip 3.0 (iU)",))
    }

    assert len(digests) == 3


def test_a_plan_that_was_stored_before_there_were_repairs_loads_under_its_own_digest() -> None:
    data = json.loads(PLAN.document())
    for each in data["hosts"]:
        del each["repairs"]
    stored = canonical(data)

    loaded = load_plan(stored, sha256(stored))

    assert loaded == PLAN
    assert loaded.digest == sha256(stored) != PLAN.digest


# --- what came of it -----------------------------------------------------------------------------


def judge(
    after: Facts,
    status: int | None = 0,
    probes: tuple[ProbeResult, ...] = (),
    pending: str = "",
) -> tuple[Outcome, str]:
    followed = Followed(view=JobView(state=JobState.ENDED, exit_status=status))
    rebooted = Rebooted(look=Look(host="web1", at=NOON, facts=after), pending=pending)
    return decide(
        followed,
        BROKEN,
        rebooted,
        repaired_results(BROKEN, after),
        probes,
        bad_end=APT.end_trouble(status),
        is_repair=True,
    )


MENDED = replace(CALM, installed=(package(),))


def test_repaired_means_that_the_second_look_finds_nothing_half_done() -> None:
    assert judge(MENDED) == (Outcome.PATCHED, "")
    assert judge(MENDED, pending="later") == (Outcome.PATCHED_REBOOT_PENDING, "later")
    assert judge(MENDED, status=None)[0] is Outcome.PATCHED, "the looks alone decide"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (71, "the repair left something in between"),
        (77, "exit status 77, which apt-get does not document"),
    ],
)
def test_an_end_that_is_bad_or_that_nobody_documents_is_no_success(status: int, words: str) -> None:
    outcome, reason = judge(MENDED, status)

    assert outcome is Outcome.FAILED
    assert words in reason


def test_what_was_half_done_before_counts_when_it_still_is() -> None:
    assert judge(BROKEN) == (Outcome.FAILED, "wm-slow: half done still (iF)")
    lock = replace(MENDED, lock_holder=LOCK_LEFT_BEHIND)
    assert judge(lock)[1] == "half done still: the package manager's lock, which nobody holds"


def test_a_probe_that_fails_after_the_repair_makes_it_failed() -> None:
    ill = (ProbeResult(name="web", ok=False, detail="refused"),)

    assert judge(MENDED, probes=ill) == (Outcome.FAILED, "probe web: refused")


# --- the packages in the evidence ----------------------------------------------------------------


def told(before: Facts | None, after: Facts) -> list[tuple[str, str, str, PackageOutcome, str]]:
    results = repaired_results(before, after)
    return [(r.name, r.before, r.after, r.outcome, r.detail) for r in results]


def test_what_was_half_done_is_named_with_its_version_and_what_did_not_change_is_not() -> None:
    before = replace(BROKEN, installed=(package("zip"),))
    after = replace(CALM, installed=(package(), package("zip")))

    assert told(before, after) == [
        ("wm-slow", "2.0", "2.0", PackageOutcome.INSTALLED, "was half done (iF)")
    ]


def test_a_version_that_the_repair_changed_is_named_as_that() -> None:
    before = replace(BROKEN, installed=(package("zip", "3.0"), package("jq", "1.6")))
    after = replace(CALM, installed=(package("wm-slow", "2.1"), package("zip", "3.1")))

    assert told(before, after) == [
        ("jq", "1.6", "", PackageOutcome.FAILED, "gone after the repair"),
        ("wm-slow", "2.0", "2.1", PackageOutcome.INSTALLED, "the repair changed its version"),
        ("zip", "3.0", "3.1", PackageOutcome.INSTALLED, "the repair changed its version"),
    ]


def test_the_older_of_two_versions_that_were_left_side_by_side_is_gone_afterwards() -> None:
    before = replace(CALM, installed=(package("xz", "2.0"),), broken=(package("xz", "1.0", "dup"),))
    after = replace(CALM, installed=(package("xz", "2.0"),))

    assert told(before, after) == [
        ("xz", "1.0, 2.0", "2.0", PackageOutcome.INSTALLED, "was half done (dup)")
    ]


def test_without_a_look_before_only_what_is_half_done_still_is_known() -> None:
    after = replace(CALM, installed=(package("zip"),), broken=(HALF,))

    assert told(None, after) == [
        ("wm-slow", "2.0", "", PackageOutcome.FAILED, "half done still (iF)")
    ]
