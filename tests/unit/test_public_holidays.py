"""Public holidays are known by country and region, and a region nobody knows is named."""

from datetime import date

import pytest

from wavemend.calendar.holidays_by_region import days_off, region_fault

YEARS = (2026, 2027)


def test_a_region_has_its_countrys_holidays_and_its_own() -> None:
    bavaria, germany = days_off(["DE-BY"], YEARS), days_off(["DE"], YEARS)

    assert bavaria[date(2026, 1, 6)] == "a public holiday (DE-BY: Epiphany)"
    assert date(2026, 1, 6) not in germany
    assert set(germany) < set(bavaria)


def test_a_holiday_that_is_moved_off_a_weekend_counts_on_both_days() -> None:
    found = days_off(["US"], YEARS)

    # Independence Day of 2026 is a Saturday.
    assert found[date(2026, 7, 3)] == "a public holiday (US: Independence Day (observed))"
    assert found[date(2026, 7, 4)] == "a public holiday (US: Independence Day)"


def test_of_two_regions_with_the_same_day_off_one_is_named() -> None:
    assert days_off(["US", "DE"], YEARS)[date(2026, 12, 25)].startswith("a public holiday (DE: ")


def test_names_do_not_follow_the_locale_of_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")

    assert days_off(["AT"], (2031,))[date(2031, 12, 25)] == "a public holiday (AT: Christmas Day)"


@pytest.mark.parametrize(
    ("region", "fault"),
    [
        ("DE", ""),
        ("DE-BY", ""),
        ("GB-ENG", ""),
        ("ZZ", 'no public holidays are known for "ZZ"'),
        ("DE-XX", 'DE has no region "XX" with holidays of its own; known: DE-BB, '),
        ("UK", 'no public holidays are known for "UK"'),
    ],
)
def test_an_unknown_region_is_a_fault_with_a_way_out(region: str, fault: str) -> None:
    found = region_fault(region)

    assert found.startswith(fault)
    assert bool(found) == bool(fault)
