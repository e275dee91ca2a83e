"""A second look decides about each Windows update; what its worker says only explains."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.windows_update_cases import (
    BASE,
    CASES,
    facts_of,
    in_form,
    log_of,
    names,
    over,
    read,
)
from wavemend.managers.windows_update import WINDOWS_UPDATE, explain_exit
from wavemend.managers.windows_update.report import read_report
from wavemend.packages import JobEnd, Target

FOLDER = "judgements"


def targets_of(case: dict[str, Any]) -> list[Target]:
    return [Target(name=name, arch=arch, version=to) for name, arch, to in case["targets"]]


def judged(case: dict[str, Any]) -> list[str]:
    log = log_of(case["job"]) if "job" in case else b""
    results = WINDOWS_UPDATE.judge(
        targets_of(case),
        facts_of(case["before"]),
        facts_of(case["after"]),
        JobEnd(exit_status=case["exit"], log=log),
    )
    return [f"{r.name} {r.outcome}{r.detail and ': '}{r.detail}" for r in results]


@pytest.mark.parametrize("name", names(FOLDER))
def test_each_case_ends_as_it_says(name: str) -> None:
    case = read(CASES / FOLDER / f"{name}.json")

    assert judged(case) == case["expected"], case["about"]


def test_no_log_makes_an_outcome_better() -> None:
    """Whatever a worker claims, an update that is offered again is not installed."""
    case = read(CASES / FOLDER / "failed.json")
    for state, reason in (("succeeded", ""), ("skipped", "not_offered"), ("failed", "")):
        items = [{**item, "state": state, "reason": reason} for item in case["job"]["items"]]
        words = judged({**case, "job": {**case["job"], "items": items}, "exit": 0})
        assert len(words) == len(case["targets"]) > 0
        for word in words:
            assert " installed" not in word.partition(":")[0]


def test_an_update_of_two_products_is_proven_by_both_builds() -> None:
    case = read(CASES / FOLDER / "search_failed.json")
    before, after = facts_of(case["before"]), facts_of(case["after"])
    target = targets_of(case)[0]
    for build, outcome in (("1.443.10.0", "installed"), ("1.443.11.0", "failed")):
        pending = tuple(
            replace(update, builds=(*update.builds, ("microsoft-defender-definitions", build)))
            for update in before.pending
        )
        end = JobEnd(exit_status=0, log=b"")
        (result,) = WINDOWS_UPDATE.judge([target], replace(before, pending=pending), after, end)

        assert result.outcome == outcome


def test_the_last_status_of_a_log_counts_and_a_torn_one_says_nothing() -> None:
    item = {**BASE["item"], "state": "failed", "hresult": "0x80240034", "reason": "download"}
    old, new = log_of({"items": [BASE["item"]]}), log_of({"items": [item]})
    target = Target(name="x", arch=item["update_id"], version="r200")

    found = read_report(old + b"\n" + new).of(target)

    assert found is not None
    assert found.words.startswith("its download failed: 0x80240034 WU_E_DOWNLOAD_FAILED")
    assert read_report(old + b"\n" + new[:-20]).of(target) is None
    assert read_report(b"").of(target) is None
    assert read_report(b"WMS1:[1]").of(target) is None


def test_a_log_of_lines_that_are_no_utf_8_does_no_harm() -> None:
    status = in_form("status", over(BASE["status"], {}))

    assert read_report(b"\xff\xfeWMS1:\xff" + str(status).encode()).items == {}


def test_exit_statuses_are_good_bad_or_unknown() -> None:
    assert WINDOWS_UPDATE.end_trouble(0) == ""
    assert WINDOWS_UPDATE.end_trouble(None) == ""
    assert WINDOWS_UPDATE.end_trouble(3) == ""
    assert WINDOWS_UPDATE.end_trouble(2) == "some updates of the job failed"
    assert WINDOWS_UPDATE.end_trouble(77) == "exit status 77, which no worker ends with"
    assert explain_exit(None) == "the job's end was never recorded"
