"""Openings within a time are neither lost nor told twice, and a look finds the one it is about."""

from datetime import UTC, datetime, time, timedelta

import pytest

from wavemend.calendar.openings import LOOKS, looked_at, openings_between
from wavemend.calendar.windows import Window, next_occurrences

NIGHTLY = Window(
    name="night",
    zone="Europe/Berlin",
    start=time(22),
    days=frozenset(range(7)),
    duration=timedelta(hours=4),
    cutoff=timedelta(hours=1),
)
MARCH = datetime(2027, 3, 20, tzinfo=UTC)


def test_a_time_holds_the_openings_that_start_in_it_first_instant_included_last_excluded() -> None:
    expected = next_occurrences(NIGHTLY, MARCH, 100)

    assert tuple(openings_between(NIGHTLY, MARCH, expected[-1].end)) == expected
    from_start = tuple(openings_between(NIGHTLY, expected[3].start, expected[70].start))
    assert from_start == expected[3:70]
    assert tuple(openings_between(NIGHTLY, MARCH, MARCH)) == ()


@pytest.mark.parametrize("occasion", ["T-24h", "T-30m"])
@pytest.mark.parametrize("off", [timedelta(0), timedelta(seconds=-90), timedelta(minutes=20)])
def test_a_look_finds_its_opening_also_before_a_night_that_is_an_hour_shorter(
    occasion: str, off: timedelta
) -> None:
    ahead = LOOKS[occasion]
    for opening in openings_between(NIGHTLY, MARCH, MARCH + timedelta(days=14)):
        assert looked_at(NIGHTLY, opening.start - ahead + off, ahead) == opening


def test_a_look_by_hand_is_about_the_next_opening() -> None:
    (following,) = next_occurrences(NIGHTLY, MARCH, 1)

    assert looked_at(NIGHTLY, MARCH, LOOKS["T-30m"]) == following
