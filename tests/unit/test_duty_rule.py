"""Nothing starts in a night whose morning nobody is there to see; the reason names what lacks."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from wavemend.calendar.almanac import Almanac, Bar, BarKind, NightOverride, Shift
from wavemend.calendar.declared import DutyRule, TenantCalendar
from wavemend.calendar.duty import duty_bars, mornings

DUTY = DutyRule(
    roster="office", hours_from=time(7), hours_until=time(9), skills=("linux", "windows")
)
RULES = TenantCalendar(tenant="acme", zone="Europe/Berlin", duty=DUTY)
TUESDAY = datetime(2026, 3, 10, 3, tzinfo=UTC)  # 04:00 in Berlin
MORNING = datetime(2026, 3, 10, 6, tzinfo=UTC)  # 07:00 in Berlin


def shift(start: datetime, hours: float, *skills: str) -> Shift:
    return Shift(start=start, end=start + timedelta(hours=hours), person="Anna", skills=skills)


def almanac(*shifts: Shift, off: dict[date, str] | None = None) -> Almanac:
    return Almanac(
        read_at=TUESDAY, shifts={"office": tuple(sorted(shifts))}, days_off={"acme": off or {}}
    )


STAFFED = almanac(shift(MORNING, 8, "linux"))


def judged(known: Almanac, end: datetime = TUESDAY, rules: TenantCalendar = RULES) -> list[str]:
    return [str(bar) for bar in duty_bars(rules, known, end, ())]


def days(end: datetime, rules: TenantCalendar = RULES) -> list[str]:
    return [morning.day.isoformat() for morning in mornings(rules, end)]


def test_a_company_without_a_duty_rule_is_not_kept_from_anything() -> None:
    assert judged(almanac(), rules=replace(RULES, duty=None)) == []


def test_a_staffed_working_day_lets_the_night_before_it_be_used() -> None:
    assert judged(STAFFED) == []


def test_the_morning_is_that_of_the_first_hours_after_the_window() -> None:
    berlin = {"03:00": "2026-03-10", "07:00": "2026-03-10", "09:00": "2026-03-11"}
    for local, morning in berlin.items():
        end = datetime.fromisoformat(f"2026-03-10T{local}+01:00")
        assert days(end) == [morning]


def test_a_window_that_ends_inside_the_hours_needs_them_and_the_next_ones() -> None:
    end = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)  # 08:30 in Berlin

    assert days(end) == ["2026-03-10", "2026-03-11"]
    (bar,) = duty_bars(RULES, STAFFED, end, ())
    assert "2026-03-11 from 07:00 to 09:00" in bar.reason


@pytest.mark.parametrize(
    ("zone", "end", "morning"),
    [
        # The same instant is Monday evening in one place and Tuesday noon in another.
        ("Pacific/Honolulu", "2026-03-10T03:00Z", "2026-03-10"),
        ("Pacific/Kiritimati", "2026-03-10T03:00Z", "2026-03-11"),
        # The nights in which clocks change: 03:00 is skipped, or passes twice.
        ("Europe/Berlin", "2026-03-29T00:59Z", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25T01:30Z", "2026-10-25"),
    ],
)
def test_the_morning_is_one_of_the_company_s_clock(zone: str, end: str, morning: str) -> None:
    assert days(datetime.fromisoformat(end), replace(RULES, zone=zone)) == [morning]


def test_hours_that_a_clock_change_shortens_are_covered_as_they_are() -> None:
    duty = replace(DUTY, hours_from=time(2), hours_until=time(4), days_off=frozenset())
    rules = replace(RULES, duty=duty)
    start = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 03:00: 02:00 does not exist

    assert judged(almanac(shift(start, 1, "linux")), datetime(2026, 3, 29, tzinfo=UTC), rules) == []


def test_hours_that_a_clock_change_swallows_are_covered_by_nobody() -> None:
    duty = replace(DUTY, hours_from=time(2), hours_until=time(3), days_off=frozenset())
    known = almanac(shift(datetime(2026, 3, 28, tzinfo=UTC), 48, "linux"))

    assert judged(known, datetime(2026, 3, 29, tzinfo=UTC), replace(RULES, duty=duty))
    assert not judged(known, datetime(2026, 3, 28, tzinfo=UTC), replace(RULES, duty=duty))


def test_a_weekend_is_no_morning_and_is_named() -> None:
    friday_night = datetime(2026, 3, 14, 3, tzinfo=UTC)

    assert judged(STAFFED, friday_night) == [
        "day off: 2026-03-14 is a Saturday, no working day of acme"
    ]


def test_a_public_holiday_is_no_morning_even_when_somebody_is_there() -> None:
    off = {date(2026, 3, 10): "a public holiday (DE-BY: Zweiter Weihnachtsfeiertag)"}

    assert judged(almanac(shift(MORNING, 8, "linux"), off=off)) == [
        "day off: 2026-03-10 is a public holiday (DE-BY: Zweiter Weihnachtsfeiertag)"
    ]


@pytest.mark.parametrize(
    ("shifts", "gap"),
    [
        ((), "from 07:00 to 09:00"),
        ((shift(MORNING, 1.5, "linux"),), "from 08:30 to 09:00"),
        ((shift(MORNING + timedelta(minutes=1), 8, "linux"),), "from 07:00 to 07:01"),
        ((shift(MORNING, 1, "linux"), shift(MORNING + timedelta(hours=1.5), 8, "windows")),
         "from 08:00 to 08:30"),
        ((shift(MORNING, 8, "mainframe"),), "from 07:00 to 09:00"),
        ((shift(MORNING, 8),), "from 07:00 to 09:00"),
        ((shift(MORNING - timedelta(hours=8), 8, "linux"),), "from 07:00 to 09:00"),
    ],
)  # fmt: skip
def test_every_instant_of_the_hours_needs_somebody_with_a_skill(
    shifts: tuple[Shift, ...], gap: str
) -> None:
    assert judged(almanac(*shifts)) == [
        f"nobody on duty: nobody with linux or windows is on duty on 2026-03-10 {gap} "
        "(Europe/Berlin, roster office)"
    ]


def test_hand_overs_and_a_month_on_call_cover_the_hours() -> None:
    half = (shift(MORNING - timedelta(hours=1), 2, "linux"), shift(MORNING + timedelta(hours=1), 9))
    handed = (half[0], replace(half[1], skills=("windows",)))

    assert judged(almanac(*handed)) == []
    assert judged(almanac(shift(MORNING - timedelta(days=30), 24 * 31, "linux"))) == []


def test_without_skills_anybody_is_enough() -> None:
    rules = replace(RULES, duty=replace(DUTY, skills=()))

    assert judged(almanac(shift(MORNING, 8)), rules=rules) == []
    assert "nobody is on duty" in judged(almanac(), rules=rules)[0]


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (replace(STAFFED, shifts={}), "unknown: roster office has not been read"),
        (
            replace(STAFFED, unreadable={"office": "row 3, column end: is empty"}),
            "unknown: roster office cannot be used: row 3, column end: is empty",
        ),
        (
            replace(STAFFED, unreadable={"plant": "too old"}),
            "unknown: calendar plant cannot be used: too old",
        ),
        (
            replace(STAFFED, days_off={}),
            "unknown: the days off of acme have not been read",
        ),
    ],
)
def test_what_is_not_known_forbids(known: Almanac, told: str) -> None:
    rules = replace(RULES, duty=replace(DUTY, calendars=("plant",)))

    assert judged(known, rules=rules) == [told]


def override(tenant: str = "acme", morning: date = date(2026, 3, 10)) -> NightOverride:
    return NightOverride(
        tenant=tenant, morning=morning, identity="alice", reason="on site", signed_at=TUESDAY
    )


@pytest.mark.parametrize(
    "known",
    [
        almanac(),
        almanac(off={date(2026, 3, 10): "a public holiday (DE: x)"}),
        replace(STAFFED, shifts={}, unreadable={"office": "broken"}),
    ],
)
def test_an_override_lifts_everything_of_its_own_night_and_nothing_else(known: Almanac) -> None:
    def bars(*overrides: NightOverride) -> tuple[Bar, ...]:
        return duty_bars(RULES, known, TUESDAY, overrides)

    assert bars()
    assert all(bar.overridable for bar in bars())
    assert bars(override()) == ()
    assert bars(override("globex")) == bars()
    assert bars(override(morning=date(2026, 3, 11))) == bars()


def test_a_night_with_two_mornings_needs_an_override_for_each() -> None:
    end = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)
    first, second = override(), override(morning=date(2026, 3, 11))

    assert [bar.kind for bar in duty_bars(RULES, almanac(), end, (first,))] == [
        BarKind.NOBODY_ON_DUTY
    ]
    assert duty_bars(RULES, almanac(), end, (first, second)) == ()
