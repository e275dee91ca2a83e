"""Calendars are read as they change; what cannot be read any more forbids, whoever is to blame."""

import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.cases.calendars import calendar, days, event
from wavemend.calendar.almanac import Almanac
from wavemend.calendar.copies import LIMITS, RENEWED_AFTER
from wavemend.calendar.declared import CalendarSource, DutyRule, Freeze, Roster, TenantCalendar
from wavemend.calendar.freezes import freeze_bars
from wavemend.calendar.ical import MAX_BYTES
from wavemend.calendar.reading import AlmanacReader, Declared
from wavemend.cli.fleet import unread
from wavemend.feeds.reading.http import HttpClient
from wavemend.inventory.fleet_file import load_fleet
from wavemend.testing.feed_server import FeedServer, Reply, closed_port, feed_server, silent_port

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FROZEN, FREE = datetime(2026, 12, 24, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
YEAR_END = calendar(days("20261218", "20270107"))
DUTY = DutyRule(
    roster="ops",
    hours_from=datetime(2026, 1, 1, 8, tzinfo=UTC).time(),
    hours_until=datetime(2026, 1, 1, 10, tzinfo=UTC).time(),
    holidays=("DE-BY", "US"),
    calendars=("closed",),
)


class Bench:
    """A company with one freeze by calendar, and what is read for it."""

    def __init__(self, folder: Path, source: str, max_age: timedelta = 2 * DAY) -> None:
        self.freeze = Freeze(name="company", tenant="acme", calendar="freezes")
        self.rules = TenantCalendar(tenant="acme", zone="Europe/Berlin", freezes=(self.freeze,))
        self.folder = folder
        self.source = CalendarSource(name="freezes", source=source, max_age=max_age)
        self.reader = self.another()

    def another(self) -> AlmanacReader:
        """Return the reader of another process: it has the copies and nothing else."""
        declared = Declared(
            base=self.folder,
            calendars=(self.source,),
            freezes=(self.freeze,),
            companies=(self.rules,),
        )
        quick = replace(
            LIMITS, total_seconds=2.0, connect_seconds=1.0, read_seconds=1.0, attempts=1
        )
        client = HttpClient(limits=quick)
        return AlmanacReader(declared=declared, folder=self.folder / "copies", client=client)

    def read(self, now: datetime = NOW) -> Almanac:
        return self.reader.read(now)

    def told(self, now: datetime = NOW, at: datetime = FROZEN) -> str:
        """Return what is said of a start at a moment, by what is read now."""
        return "; ".join(str(bar) for bar in freeze_bars(self.rules, self.read(now), at))


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as found:
        yield found


@pytest.fixture
def of_file(tmp_path: Path) -> Bench:
    (tmp_path / "freezes.ics").write_bytes(YEAR_END)
    return Bench(tmp_path, "file:freezes.ics")


def test_an_event_written_into_a_file_holds_from_the_next_question_on(of_file: Bench) -> None:
    path = of_file.folder / "freezes.ics"
    assert "year end" in of_file.told()
    assert of_file.told(at=FREE) == ""

    status = path.stat()
    path.write_bytes(YEAR_END.replace(b"20261218", b"20270118").replace(b"20270107", b"20270207"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # a clock too coarse to show it

    assert of_file.told() == ""
    assert "year end" in of_file.told(at=FREE)


def a_pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "freezes.ics cannot be read (No such file or directory)"),
        (lambda path: path.write_bytes(b""), "no whole iCalendar document"),
        (lambda path: path.write_bytes(YEAR_END[:-20]), "no whole iCalendar document"),
        (lambda path: path.write_bytes(YEAR_END.replace(b"END:VEVENT\r\n", b"")), "is damaged: "),
        (lambda path: path.write_bytes(YEAR_END.replace(b"\r\n", b"\r")), "is damaged: "),
        (lambda path: path.write_bytes(b"x" * (MAX_BYTES + 1)), "is larger than 4 MiB"),
        (a_pipe_instead, "freezes.ics is no file"),
        (a_folder_instead, "freezes.ics is no file"),
        (
            lambda path: path.write_bytes(calendar(event("DTSTART:20261201T220000Z"))),
            'event "year end" lasts no time, so it forbids nothing; give it an end',
        ),
    ],
)
def test_a_file_that_cannot_be_read_forbids_at_once_and_no_more_when_it_can(
    of_file: Bench, spoil: Callable[[Path], object], reason: str
) -> None:
    assert of_file.told(at=FREE) == ""
    path = of_file.folder / "freezes.ics"
    spoil(path)

    assert of_file.told(at=FREE).startswith("unknown: whether the freeze company holds")
    assert reason in of_file.told(at=FREE)

    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    path.write_bytes(YEAR_END)
    assert of_file.told(at=FREE) == ""


def test_a_file_of_a_hundred_megabytes_costs_no_memory_of_that_size(of_file: Bench) -> None:
    path = of_file.folder / "freezes.ics"
    with path.open("r+b") as file:
        file.truncate(100 * 1024**2)
    tracemalloc.start()
    try:
        assert "is larger than 4 MiB" in of_file.told()
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024**2
    finally:
        tracemalloc.stop()


def test_asking_before_every_host_costs_little(of_file: Bench) -> None:
    events = [days("20261218", "20270107", uid=str(n)) for n in range(1_000)]
    (of_file.folder / "freezes.ics").write_bytes(calendar(*events))
    of_file.read()
    began = time.monotonic()
    for number in range(200):
        of_file.read(NOW + number * timedelta(seconds=1))

    assert (time.monotonic() - began) / 200 < 0.05


def test_an_address_is_asked_once_in_five_minutes_and_with_its_validator(
    tmp_path: Path, server: FeedServer
) -> None:
    reply = Reply(body=YEAR_END, headers={"ETag": '"one"'})
    bench = Bench(tmp_path, server.answer("/freezes.ics", reply))

    assert "year end" in bench.told()
    bench.reader = bench.another()
    assert "year end" in bench.told(NOW + RENEWED_AFTER - MINUTE)
    assert len(server.requests) == 1, "another process asks for no more than this one"

    assert "year end" in bench.told(NOW + RENEWED_AFTER)
    assert server.requests[1][1]["if-none-match"] == '"one"'
    server.answer("/freezes.ics", Reply(body=calendar(days("20270115", "20270210"))))
    assert bench.told(NOW + 2 * RENEWED_AFTER) == ""
    assert "year end" in bench.told(NOW + 2 * RENEWED_AFTER, at=FREE)


BAD = [
    Reply(status=500),
    Reply(status=404),
    Reply(status=200, body=b""),
    Reply(body=b"<html>sign in</html>", headers={"Content-Type": "text/html"}),
    Reply(body=b"hello"),
    Reply(body=YEAR_END[:-20]),
    Reply(body=YEAR_END, cut=60),
    Reply(body=calendar()),
    Reply(body=calendar(event("DTSTART:soon"))),
    Reply(body=YEAR_END.replace(b"END:VEVENT\r\n", b"")),
    Reply(body=YEAR_END.replace(b"\r\n", b"\r")),
    Reply(body=calendar().replace(b"PRODID", b"DESCRIPTION:BEGIN:VEVENT\r\nPRODID")),
    Reply(body=b"x" * (MAX_BYTES + 1)),
    Reply(pieces=lambda: (b"x" * 65_536 for _ in range(10_000))),
    Reply(body=YEAR_END, drip=lambda: time.sleep(0.2)),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_answer_never_replaces_a_good_copy_which_holds_until_it_is_too_old(
    tmp_path: Path, server: FeedServer, bad: Reply
) -> None:
    bench = Bench(tmp_path, server.answer("/freezes.ics", Reply(body=YEAR_END), bad))
    assert "year end" in bench.told()

    later = NOW + DAY
    assert "year end" in bench.told(later)
    assert bench.told(later, at=FREE) == ""
    assert bench.read(later).stale["freezes"].startswith("not renewed since 2026-11-20 12:00 UTC: ")

    too_late = NOW + 2 * DAY + MINUTE
    told = bench.told(too_late, at=FREE)
    assert "its copy of 2026-11-20 12:00 UTC is older than 2d: " in told

    server.answer("/freezes.ics", Reply(body=YEAR_END))
    assert bench.told(too_late + RENEWED_AFTER, at=FREE) == ""


def test_a_server_that_is_down_or_silent_is_not_waited_for_before_every_host(
    tmp_path: Path, server: FeedServer
) -> None:
    bench = Bench(tmp_path, server.answer("/freezes.ics", Reply(body=YEAR_END)))
    bench.read()
    with silent_port() as base:
        copy = bench.folder / "copies" / "freezes"
        head, _, body = copy.read_bytes().partition(b"\n")
        said = {**json.loads(head), "source": f"{base}/freezes.ics"}
        copy.write_bytes(json.dumps(said).encode() + b"\n" + body)
        bench.source = replace(bench.source, source=f"{base}/freezes.ics")
        bench.reader = bench.another()
        began = time.monotonic()
        for seconds in range(100):
            assert "year end" in bench.told(NOW + DAY + timedelta(seconds=seconds))

        assert time.monotonic() - began < 20, "one try, of two seconds"


def test_a_calendar_that_was_never_read_forbids_and_keeps_its_address_to_itself(
    tmp_path: Path,
) -> None:
    with closed_port() as base:
        bench = Bench(tmp_path, f"{base}/private-4711/freezes.ics")
        told = bench.told()

    assert "unknown: " in told
    assert "it was never read: its address: " in told
    assert "4711" not in told


@pytest.mark.parametrize("content", [b"", b"{}", b"null\n", b"[1]\nBEGIN", b"\xff\xfe\n"])
def test_a_damaged_copy_is_fetched_again(
    tmp_path: Path, server: FeedServer, content: bytes
) -> None:
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "freezes").write_bytes(content)
    bench = Bench(tmp_path, server.answer("/freezes.ics", Reply(body=YEAR_END)))

    assert "year end" in bench.told()


def test_a_copy_of_another_address_or_from_the_future_is_not_believed(
    tmp_path: Path, server: FeedServer
) -> None:
    bench = Bench(tmp_path, server.answer("/freezes.ics", Reply(body=YEAR_END)))
    bench.read(NOW + DAY)
    server.answer("/freezes.ics", Reply(status=500))
    assert "which is still to come" in bench.told(NOW)

    bench.source = replace(bench.source, source=server.answer("/other.ics", Reply(status=500)))
    bench.reader = bench.another()
    assert "it was never read" in bench.told(NOW + DAY)


def test_copies_are_for_this_account_only(tmp_path: Path, server: FeedServer) -> None:
    Bench(tmp_path, server.answer("/freezes.ics", Reply(body=YEAR_END))).read()

    copies = tmp_path / "copies"
    assert [path.name for path in copies.iterdir()] == ["freezes"]
    assert (copies / "freezes").stat().st_mode & 0o077 == 0
    assert copies.stat().st_mode & 0o077 == 0


def read_all(folder: Path, *companies: TenantCalendar, freezes: tuple[Freeze, ...] = ()) -> Almanac:
    declared = Declared(
        base=folder,
        calendars=tuple(
            CalendarSource(name=path.stem, source=f"file:{path.name}")
            for path in sorted(folder.glob("*.ics"))
        ),
        rosters=(Roster(name="ops", source="file:ops.csv", zone="Europe/Berlin"),),
        freezes=freezes,
        companies=companies,
    )
    return AlmanacReader(declared=declared, folder=folder / "copies").read(NOW)


def test_days_off_are_holidays_and_all_day_events_each_with_its_name(tmp_path: Path) -> None:
    meeting = event("DTSTART:20261201T080000Z", "DURATION:PT1H", summary="meeting", uid="2")
    closed = calendar(days("20261228", "20261231", "works holidays"), meeting)
    (tmp_path / "closed.ics").write_bytes(closed)
    acme = TenantCalendar(tenant="acme", zone="America/Santiago", duty=DUTY)
    globex = TenantCalendar(tenant="globex", zone="UTC")

    found = read_all(tmp_path, acme, globex)
    assert found.days_off["acme"][date(2026, 12, 26)] == (
        "a public holiday (DE-BY: Second Day of Christmas)"
    )
    assert found.days_off["acme"][date(2027, 7, 5)] == (
        "a public holiday (US: Independence Day (observed))"
    )
    off = [day for day, why in found.days_off["acme"].items() if "works holidays" in why]
    assert off == [date(2026, 12, 28), date(2026, 12, 29), date(2026, 12, 30)]
    assert date(2026, 12, 1) not in found.days_off["acme"]
    assert max(found.days_off["acme"]) >= date(2031, 12, 25)
    assert found.days_off["globex"] == {}


def test_a_calendar_or_roster_that_cannot_be_read_is_named_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "closed.ics").write_bytes(b"")
    (tmp_path / "good.ics").write_bytes(YEAR_END)
    (tmp_path / "ops.csv").write_text("person,skills,start,end\nann,linux,soon,later\n")
    freezes = (Freeze(name="company", tenant="acme", calendar="good"),)
    acme = TenantCalendar(tenant="acme", zone="UTC", duty=DUTY, freezes=freezes)

    found = read_all(tmp_path, acme, freezes=freezes)
    assert set(found.unreadable) == {"closed", "ops"}
    assert "row 2" in found.unreadable["ops"]
    assert "ops" not in found.shifts
    assert len(found.freezes["company"]) == 1
    assert set(found.digests) == {"closed", "good", "ops"}


def test_shifts_of_a_roster_are_read(tmp_path: Path) -> None:
    (tmp_path / "closed.ics").write_bytes(YEAR_END)
    (tmp_path / "ops.csv").write_text(
        "person,skills,start,end\nann,linux db,2026-12-01T08:00,2026-12-01T16:00\n"
    )
    found = read_all(tmp_path, TenantCalendar(tenant="acme", zone="UTC", duty=DUTY))

    (shift,) = found.shifts["ops"]
    assert (shift.person, shift.start) == ("ann", datetime(2026, 12, 1, 7, tzinfo=UTC))


def test_only_events_of_these_titles_count_and_cancelled_ones_never(tmp_path: Path) -> None:
    (tmp_path / "good.ics").write_bytes(
        calendar(
            days("20261218", "20270107", "Change FREEZE: year end", uid="1"),
            days("20270201", "20270203", "summer party", uid="2"),
            days("20270301", "20270303", "freeze of spring", uid="3").replace(
                "END:VEVENT", "STATUS:CANCELLED\r\nEND:VEVENT"
            ),
        )
    )
    freezes = (Freeze(name="group", calendar="good", summaries=("*freeze*",)),)
    companies = [
        TenantCalendar(tenant=name, zone=zone, freezes=freezes)
        for name, zone in (("acme", "Europe/Berlin"), ("globex", "America/New_York"))
    ]

    found = read_all(tmp_path, *companies, freezes=freezes)
    told = {name: [str(span.start) for span in spans] for name, spans in found.freezes.items()}
    assert told == {
        "group@America/New_York": ["2026-12-18 05:00:00+00:00"],
        "group@Europe/Berlin": ["2026-12-17 23:00:00+00:00"],
    }


def test_a_title_is_found_however_its_letters_are_encoded(tmp_path: Path) -> None:
    title = "Schlu\u0308sselu\u0308bergabe"  # each umlaut as two signs, as macOS writes it
    (tmp_path / "good.ics").write_bytes(calendar(days("20261218", "20270107", title)))
    freezes = (Freeze(name="keys", calendar="good", summaries=("schl\u00fcssel*",)),)
    company = TenantCalendar(tenant="acme", zone="UTC", freezes=freezes)

    found = read_all(tmp_path, company, freezes=freezes)

    assert [len(spans) for spans in found.freezes.values()] == [1]


def test_checking_a_fleet_warns_of_files_that_cannot_be_read_and_fetches_nothing(
    tmp_path: Path,
) -> None:
    text = (ROOT / "tests/cases/fleet/right.yaml").read_text()
    path = tmp_path / "fleet.yaml"
    path.write_text(
        f"{text}calendars:\n"
        "  - {name: missing, source: 'file:none.ics'}\n"
        "  - {name: whole, source: 'file:whole.ics'}\n"
        "  - {name: broken, source: 'file:broken.ics'}\n"
        "  - {name: elsewhere, source: 'https://calendars.example/x.ics'}\n"
        "freezes:\n"
        "  - {name: one, scope: global, calendar: whole}\n"
        "  - {name: two, scope: global, calendar: broken}\n"
        "  - {name: three, scope: global, calendar: elsewhere}\n"
    )
    (tmp_path / "whole.ics").write_bytes(YEAR_END)
    (tmp_path / "broken.ics").write_bytes(YEAR_END[:-20])

    assert unread(load_fleet(path), NOW) == [
        "warning: broken: it is no whole iCalendar document (BEGIN:VCALENDAR … END:VCALENDAR); "
        "nothing starts that it could forbid",
        "warning: missing: none.ics cannot be read (No such file or directory); "
        "nothing starts that it could forbid",
    ]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "broken.ics", "fleet.yaml", "whole.ics",
    ]  # fmt: skip
