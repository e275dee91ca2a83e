"""`wavemend calendar` shows, exports and judges the openings of the fleet in force."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from icalendar import Calendar, Event

from tests.cases.agenda import agenda_fleet, agenda_text
from wavemend.calendar.agenda import openings_until, window_uses
from wavemend.calendar.almanac import Almanac
from wavemend.calendar.export import calendar_document
from wavemend.cli import main
from wavemend.ledger.intake import apply_fleet
from wavemend.ledger.store import open_ledger

LENGTH = "duration: 3h, cutoff: 1h"
WINDOWS = {
    "night": (
        'zone: Europe/Berlin, start: "02:30", days: [mon, tue, wed, thu, fri, sat, sun], ' + LENGTH
    ),
    "patch-tuesday": (
        f'zone: America/New_York, start: "22:00", nth: [{{n: 2, day: tue, offset: 11}}], {LENGTH}'
    ),
}
NOON = datetime(2027, 3, 23, 12, tzinfo=UTC)
FREEZE = """\
freezes:
  - {name: fair, scope: company, tenant: acme, start: "2027-03-24T12:00", end: "2027-03-26T02:30"}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WAVEMEND_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("WAVEMEND_LEDGER", raising=False)
    return tmp_path


def apply(home: Path, text: str) -> None:
    fleet = agenda_fleet(home, text)
    with open_ledger(f"sqlite:///{home / 'ledger.db'}").writing() as book:
        apply_fleet(book, fleet, actor="olga", now=datetime.now(UTC))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(str(end.value.code or 0))


def frozen_days(days: int) -> str:
    """A freeze from now on, and so many days."""
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        f'freezes: [{{name: audit, scope: global, start: "{now:%Y-%m-%dT00:00}", '
        f'end: "{end:%Y-%m-%dT00:00}", reason: year-end audit}}]'
    )


def test_the_preview_lists_twelve_openings_in_local_time_and_utc_and_says_why_some_are_skipped(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(home, agenda_text(WINDOWS, more=[frozen_days(4)]))

    assert run("calendar", "preview", "--window", "night") == 0

    said = capsys.readouterr().out
    assert "Acme Works (acme), window night: server" in said
    assert "Opens (Europe/Berlin)" in said
    lines = [line for line in said.splitlines() if re.match(r"\w{3} \d{4}-\d\d-\d\d", line)]
    assert len(lines) == 12
    assert "SKIPPED: freeze: audit holds until" in lines[0]
    assert "(year-end audit)" in lines[0]
    assert lines[11].rstrip().endswith("runs")
    local, utc = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", lines[11])
    assert local.endswith("02:30")
    assert utc[-5:] in {"00:30", "01:30"}


def test_the_preview_knows_companies_windows_and_counts(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(home, agenda_text(WINDOWS))

    assert run("calendar", "preview", "--company", "acme", "-n", "2") == 0
    said = capsys.readouterr().out
    assert said.count("Acme Works") == 2
    assert len(re.findall(r"^\w{3} \d{4}", said, re.MULTILINE)) == 4
    assert run("calendar", "preview", "--window", "nihgt") != 0
    assert 'the fleet has no window "nihgt"' in capsys.readouterr().err
    assert run("calendar", "preview", "-n", "0") != 0
    assert "not between 1 and 400" in capsys.readouterr().err


def test_an_export_is_read_back_by_a_calendar_with_one_event_per_opening(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(home, agenda_text(WINDOWS, more=[frozen_days(4)]))
    file = home / "windows.ics"

    assert run("calendar", "export", str(file), "--months", "3") == 0

    events = events_of(file.read_bytes())
    assert f"{len(events)} openings" in capsys.readouterr().out
    cancelled = [event for event in events if event["STATUS"] == "CANCELLED"]
    assert 3 <= len(cancelled) <= 5
    assert all("year-end audit" in str(event["DESCRIPTION"]) for event in cancelled)
    assert all(event.end - event.start == timedelta(hours=3) for event in events)
    assert run("calendar", "export", str(home / "no" / "such.ics")) != 0
    assert "cannot be written" in capsys.readouterr().err


def test_an_opening_keeps_its_uid_when_a_freeze_is_added_and_becomes_a_cancelled_event(
    tmp_path: Path,
) -> None:
    before = exported(tmp_path, agenda_text(WINDOWS))
    after = exported(tmp_path, agenda_text(WINDOWS, more=[FREEZE]))

    assert list(before) == list(after)
    assert len(before) == len(set(before))
    changed = {uid for uid in before if before[uid]["STATUS"] != after[uid]["STATUS"]}
    assert changed == {"acme/night@2027-03-25T01:30Z"}
    assert "fair" in str(after["acme/night@2027-03-25T01:30Z"]["DESCRIPTION"])
    late = str(after["acme/night@2027-03-26T01:30Z"]["DESCRIPTION"])
    assert "begins Fri 26 Mar 03:30 local: freeze: fair" in late
    # The night of the switch: the clock skips 02:30.
    assert before["acme/night@2027-03-28T01:00Z"].start == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_the_simulation_ends_with_one_when_a_window_never_opens(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(home, agenda_text(WINDOWS))
    assert run("calendar", "simulate", "--months", "24") == 0
    assert "clock change" in capsys.readouterr().out

    apply(home, agenda_text(WINDOWS, more=[frozen_days(2000)]))
    assert run("calendar", "simulate", "--months", "24") == 1
    said = capsys.readouterr().out
    assert said.count("never opens") == 2
    assert "openings are barred; the first: freeze: audit" in said


def exported(folder: Path, text: str) -> dict[str, Event]:
    fleet = agenda_fleet(folder, text)
    almanac, until = Almanac(read_at=NOON), NOON + timedelta(days=40)
    agendas = openings_until(fleet, almanac, window_uses(fleet), NOON, until, overrides={})
    return {str(event["UID"]): event for event in events_of(calendar_document(agendas, NOON))}


def events_of(document: bytes) -> list[Event]:
    return [item for item in Calendar.from_ical(document).walk("VEVENT") if isinstance(item, Event)]
