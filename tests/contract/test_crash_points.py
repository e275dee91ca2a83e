"""Every place at which a controller's death could matter is counted from the code, not by hand."""

from pathlib import Path

import pytest

from tests.contract.crash_places import EFFECTS, ELSEWHERE, PASSED_FILES, SELDOM, sites


def test_what_is_left_out_of_the_crash_tests_exists_and_says_why() -> None:
    names = {str(site) for site in sites()}

    assert names >= set(ELSEWHERE) | SELDOM, "a site is gone: take it off the list"
    assert all(len(reason) > 10 for reason in ELSEWHERE.values())
    assert {site.effect for site in sites()} == EFFECTS - {"run_as_root"}
    assert len(names) == len(sites()), "two sites have one name"


def test_an_effect_in_a_new_file_is_either_passed_by_rollouts_or_has_its_reason() -> None:
    counted = {str(site): site.file for site in sites() if str(site) not in ELSEWHERE}

    assert {site for site, file in counted.items() if file not in PASSED_FILES} == set()
    assert set(counted.values()) == PASSED_FILES, "none of its effects is left: take it off"


@pytest.mark.parametrize("file", sorted({site.file for site in sites()}))
def test_a_test_that_is_named_as_the_reason_exists(file: str) -> None:
    root = Path(__file__).resolve().parents[2]
    reasons = [reason for site, reason in ELSEWHERE.items() if site.startswith(f"{file} ")]

    named = [word for reason in reasons for word in reason.split() if word.startswith("tests/")]
    assert [test for test in named if not (root / test).exists()] == []
