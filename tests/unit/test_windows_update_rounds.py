"""Another round is for what it can heal: once after a failure, and never for an update loop."""

from typing import Any

import pytest

from tests.unit.windows_update_cases import CASES, facts_of, log_of, read
from wavemend.managers import NextRound
from wavemend.managers.windows_update import WindowsUpdateManager
from wavemend.packages import JobEnd, Target

MANAGER = WindowsUpdateManager()
LCU, NET = read(CASES / "looks" / "month.json")["search"]["updates"][:2]
TARGETS = [
    Target(
        name=update["kb"][0], arch=update["update_id"], version=f"r{update.get('revision', 200)}"
    )
    for update in (LCU, NET)
]
BOTH = {"search": {"updates": [LCU, NET]}}


def item(update: dict[str, Any], state: str, reason: str = "", hresult: str = "") -> dict[str, Any]:
    return {"update_id": update["update_id"], "state": state, "reason": reason, "hresult": hresult}


def asked(
    *items: dict[str, Any],
    after: dict[str, Any] = BOTH,
    rounds: int = 1,
    restarted: bool = False,
    status: int | None = 1,
) -> NextRound:
    return MANAGER.next_round(
        TARGETS,
        facts_of(BOTH),
        facts_of(after),
        JobEnd(exit_status=status, log=log_of({"items": list(items)})),
        rounds=rounds,
        restarted=restarted,
    )


def names(found: NextRound) -> list[str]:
    return [target.name for target in found.targets]


def test_a_failure_of_servicing_is_tried_once_more_after_a_restart() -> None:
    failed = item(LCU, "failed", hresult="0x800F0922")

    first = asked(failed)

    assert names(first) == ["KB5075906"]
    assert first.reboot_first
    assert "0x800F0922" in first.reason
    assert not asked(failed, restarted=True).reboot_first
    assert asked(failed, rounds=2, restarted=True) == NextRound()


def test_a_download_is_tried_again_without_a_restart() -> None:
    found = asked(item(NET, "failed", "download", "0x80246007"))

    assert (names(found), found.reboot_first) == (["KB5075000"], False)


@pytest.mark.parametrize("code", ["0x80070070", "0x80070005", "0x8024002E", "0x8ABCDEF0", ""])
def test_what_no_second_try_heals_is_not_tried_again(code: str) -> None:
    assert asked(item(LCU, "failed", hresult=code)) == NextRound()


def test_an_update_that_succeeded_and_is_offered_again_is_a_loop_and_no_round() -> None:
    assert asked(item(LCU, "succeeded", hresult="0x00000000"), restarted=True) == NextRound()


def test_what_the_host_must_restart_for_comes_after_it() -> None:
    blocked = asked(status=4)
    later = asked(item(LCU, "succeeded"), item(NET, "skipped", "reboot_first"), status=4)

    assert (names(blocked), blocked.reboot_first) == (["KB5075000", "KB5075906"], True)
    assert not asked(status=4, restarted=True).reboot_first
    assert (names(later), later.reboot_first) == (["KB5075000"], True)


def test_what_became_offered_only_by_the_round_before_is_taken_in_the_next() -> None:
    found = asked(item(NET, "skipped", "not_offered"), rounds=2)

    assert (names(found), found.reboot_first) == (["KB5075000"], False)


@pytest.mark.parametrize("reason", ["deadline", "cancelled", "needs_user_input", "eula"])
def test_what_was_not_to_be_begun_is_no_round_either(reason: str) -> None:
    assert asked(item(NET, "skipped", reason)) == NextRound()


def test_there_are_three_rounds_and_none_on_the_word_of_a_failed_search() -> None:
    failed = {"search_error": {"hresult": "0x80072EE2", "context": "search", "message": ""}}
    unknown = {"search": {"search_result_code": 4, **failed}}

    assert asked(item(NET, "skipped", "reboot_first"), rounds=3) == NextRound()
    assert asked(status=4, after=unknown) == NextRound()


def test_what_is_in_place_or_not_offered_any_more_is_not_asked_for_again() -> None:
    gone = {"search": {"updates": [NET]}}

    assert asked(item(LCU, "failed", hresult="0x800F0922"), after=gone) == NextRound()


def test_a_job_that_a_restart_interrupted_is_gone_on_with_after_it() -> None:
    items = (item(LCU, "succeeded", hresult="0x00000000"), item(NET, "installing"))

    assert names(asked(*items, status=None, restarted=True)) == ["KB5075000"]
    assert names(asked(*items, status=None)) == []


def test_a_package_of_chocolatey_that_fails_restarts_no_host() -> None:
    row = {
        "name": "git",
        "version": "2.47.1",
        "version_before": "2.43.0",
        "version_after": "2.43.0",
        "state": "failed",
        "exit_code": 1603,
        "reboot_required": False,
        "reason": "",
        "seconds": 1,
    }
    target = Target(name="git", arch="chocolatey", version="2.47.1")
    end = JobEnd(exit_status=1, log=log_of({"items": [row]}))
    facts = facts_of(BOTH)

    found = MANAGER.next_round([target], facts, facts, end, rounds=1, restarted=False)

    assert found == NextRound()
