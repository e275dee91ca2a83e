"""No text from outside can act on the reader, flood the page, or hide what time it is."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.cases.reports.example import good_night
from wavemend.errors import LedgerError
from wavemend.reports import render_html
from wavemend.reports.text import (
    bounded,
    bounded_tail,
    json_escaped,
    local_times,
    one_line,
    utc_text,
    visible,
)

WINTER = datetime(2026, 1, 10, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("\x9b2J", "⟨U+009B⟩2J"),
        ("evil\u202etxt.exe", "evil⟨U+202E⟩txt.exe"),
        ("a\u2066b\u2069", "a⟨U+2066⟩b⟨U+2069⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("half\udc80", "half⟨U+DC80⟩"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("bell\x07\r\n", "bell⟨U+0007⟩⟨U+000D⟩\n"),
        ("Grüße, 東京, عربي", "Grüße, 東京, عربي"),
    ],
)
def test_acting_characters_are_named_and_others_kept(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_one_line_is_one_line() -> None:
    assert one_line("a\nb\r\nc\td") == "a b c d"


def test_a_long_text_says_how_much_is_missing() -> None:
    assert bounded("x" * 700, 600) == "x" * 600 + " … (+100 characters)"
    assert bounded_tail("a" * 5 + "z" * 10, 10).endswith("\n" + "z" * 10)
    assert "5 earlier characters" in bounded_tail("a" * 5 + "z" * 10, 10)


def test_a_text_is_not_cut_where_saying_so_is_as_long_as_the_rest() -> None:
    reason = "subprocess returned error exit status 1"

    assert bounded(reason, len(reason) - 17) == reason


def test_escaped_json_reads_back_as_the_same_data() -> None:
    text = "\x9b\u202e\U000e0041\udc80 ü"
    escaped = json_escaped(json.dumps(text, ensure_ascii=False))

    assert json.loads(escaped) == text
    assert visible(escaped) == escaped


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(LedgerError, match="without a time zone"):
        utc_text(WINTER.replace(tzinfo=None))


def test_times_are_shown_in_the_declared_zone() -> None:
    times = local_times("Europe/Berlin", WINTER, WINTER + timedelta(hours=3))

    assert times.short(WINTER) == "10 Jan 02:30"
    assert times.day(datetime(2026, 1, 10, 23, 30, tzinfo=UTC)) == "11 Jan 2026"


def test_in_the_night_clocks_go_back_each_time_names_its_side() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    times = local_times("Europe/Berlin", first, first + timedelta(hours=3))

    assert times.short(first) == "25 Oct 02:30 CEST"
    assert times.short(first + timedelta(hours=1)) == "25 Oct 02:30 CET"


def test_a_report_made_again_a_year_later_still_names_the_side_of_each_time() -> None:
    """Summer time then, summer time now: only the window itself knows that clocks changed."""
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    end = start + timedelta(hours=3)
    window = replace(good_night().window, zone="Europe/Berlin", start=start, end=end)
    later = start + timedelta(days=300)
    night = replace(good_night(), window=window, generated_at=later)

    page = render_html(night).decode()

    assert "02:30 CEST" in page
    assert "04:30 CET" in page


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "a\x00b"])
def test_an_unknown_zone_gives_utc_and_says_so(zone: str) -> None:
    times = local_times(zone, WINTER, WINTER)

    assert times.short(WINTER) == "10 Jan 01:30 UTC"
    assert "times are in UTC" in times.note
