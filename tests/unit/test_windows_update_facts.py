"""A look at a Windows host says what is installed, pending and in the way, and guesses nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.windows_update_cases import CASES, NOON, facts_of, names, read, shown
from wavemend.errors import HostAnswerInvalid
from wavemend.hosts import FreeSpace

FOLDER = "looks"
LCU = "00000001-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("name", names(FOLDER))
def test_each_case_is_read_as_it_says(name: str) -> None:
    case = read(CASES / FOLDER / f"{name}.json")

    assert shown(facts_of(case)) == case["expected"], case["about"]


def look(name: str, **otherwise: Any) -> dict[str, Any]:
    return {**read(CASES / FOLDER / f"{name}.json"), **otherwise}


def test_the_machine_itself_is_told_apart() -> None:
    facts = facts_of({"host": {"logged_on": ["ACME\\bob", "ACME\\ann"]}})

    assert (facts.os_id, facts.machine_id) == ("windows", "0a1b2c3d-0000-4000-8000-000000000001")
    assert (facts.boot_id, facts.uptime_seconds) == ("41", 1_011_600.0)
    assert facts.release_keys == ("windows-server-2022",)
    assert facts.users == ("ACME\\ann", "ACME\\bob")
    assert facts.free_space == (FreeSpace("C:\\", 62_914_560_000, -1),)
    assert [begun.attempt_id for begun in facts.journal] == ["a-0123456789abcdef"]
    assert not facts.simulated
    assert facts_of({"host": {"os": {"simulated": True}}}).simulated


@pytest.mark.parametrize(
    ("ahead", "seconds", "skew"),
    [(0, 2.0, 0.0), (1, 2.0, 0.0), (90, 2.0, 88.0), (-90, 2.0, -89.0), (-1, 2.0, 0.0)],
)
def test_only_what_the_round_trip_does_not_explain_is_skew(
    ahead: int, seconds: float, skew: float
) -> None:
    told = (NOON + timedelta(seconds=ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert facts_of({"host": {"utc_now": told}}, seconds=seconds).clock_skew_seconds == skew


def test_a_time_that_there_is_not_is_no_answer() -> None:
    with pytest.raises(HostAnswerInvalid, match="its clock says"):
        facts_of({"host": {"utc_now": "2026-02-31T25:00:00Z"}})


def test_an_update_of_the_history_counts_only_as_long_as_it_is_not_offered_again() -> None:
    case = look("installed")
    offered = read(CASES / FOLDER / "month.json")["search"]["updates"][:1]

    assert facts_of(case).version_of("KB5075906", LCU) == "r200"
    again = {**case, "search": {**case["search"], "updates": offered}}
    assert facts_of(again).version_of("KB5075906", LCU) == ""


def test_what_was_installed_before_this_boot_does_not_wait_for_a_restart() -> None:
    """A restart that somebody else asks for does not hide that an update was rolled back."""
    case = look("waits")
    case["search"]["history"][0]["date"] = "2026-01-12T19:30:00Z"

    (update,) = facts_of(case).pending

    assert update.withheld == ""
    assert facts_of(case).version_of("KB5075906", LCU) == ""


def test_an_update_that_is_withheld_supersedes_nothing() -> None:
    facts = facts_of(look("month"))

    assert [u.withheld for u in facts.pending if u.name == "KB5075906"] == [""]


def test_two_looks_at_the_same_answers_are_equal_in_whatever_order_they_come() -> None:
    case = look("month")
    turned = {**case, "search": {"updates": case["search"]["updates"][::-1]}}

    assert facts_of(turned) == facts_of(case)
    assert facts_of(case).collected_at == datetime(2026, 2, 12, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("build", "package", "newest"),
    [
        ("10.0.18363.1000", "18362.1100", "10.0.18363.1100"),
        ("10.0.19045.6332", "19041.6456", "10.0.19045.6456"),
        ("10.0.22631.6000", "22621.6060", "10.0.22631.6060"),
        ("10.0.26200.7623", "26100.7840", "10.0.26200.7840"),
        ("10.0.26100.7623", "26100.7840", "10.0.26100.7840"),
        ("10.0.26100.7623", "22621.9999", "10.0.26100.7623"),  # left over from an upgrade
    ],
)
def test_a_package_of_the_build_that_a_release_is_made_of_raises_that_release(
    build: str, package: str, newest: str
) -> None:
    name = f"Package_for_RollupFix~31bf3856ad364e35~amd64~~{package}.1.21"
    row = {"name": name, "state": "InstallPending", "release_type": "", "installed": ""}
    system = {"build": build, "ubr": int(build.rpartition(".")[2]), "product_type": 1}
    title = f"2026-02 Security Update (KB5075912) ({package})"
    offered = {"update_id": LCU, "title": title, "kb": ["KB5075912"]}

    facts = facts_of({"host": {"os": system, "packages": [row]}, "search": {"updates": [offered]}})

    assert facts.newest_kernel == newest
    raised = [kernel for update in facts.pending for _, kernel in update.builds]
    assert raised == ([] if newest == build else [newest])


def test_a_clock_that_nobody_can_count_with_is_an_invalid_answer_and_no_bug() -> None:
    with pytest.raises(HostAnswerInvalid, match="win1: what it says cannot be: "):
        facts_of({"host": {"utc_now": "0001-01-01T00:00:00Z"}})
