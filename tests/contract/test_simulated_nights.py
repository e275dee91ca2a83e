"""AC-17 over a year: in 365 nights of two companies no wave starts before an unstaffed morning.

What the product says of each night is compared with a plain second opinion that knows the same
documents: holidays as literal dates, people by day, nothing of the product's calendars. Every
night that is not used names its reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from wavemend.calendar.almanac import Almanac
from wavemend.calendar.preview import Opening, preview
from wavemend.calendar.reading import AlmanacReader, Declared
from wavemend.fleet import Fleet
from wavemend.inventory import INVENTORIES
from wavemend.site import Site

YEAR = 2026
FIRST = datetime(YEAR, 1, 1, tzinfo=UTC)

FLEET = """
schema: wavemend.fleet/1
tenants:
  - name: acme
    title: Acme
    zone: Europe/Berlin
    window: berlin
    duty: {roster: acme, hours_from: "07:00", hours_until: "09:00", skills: [linux],
           holidays: [DE-BY]}
  - name: globex
    title: Globex
    zone: America/New_York
    window: york
    duty: {roster: globex, hours_from: "08:00", hours_until: "10:00", skills: [linux, storage],
           holidays: [US], days_off: [sun]}
windows:
  - {name: berlin, zone: Europe/Berlin, start: "22:00", duration: 6h, cutoff: 1h,
     days: [mon, tue, wed, thu, fri, sat, sun]}
  - {name: york, zone: America/New_York, start: "01:30", duration: 4h, cutoff: 45m,
     days: [mon, tue, wed, thu, fri, sat, sun]}
rosters:
  - {name: acme, source: "file:acme.yaml", zone: Europe/Berlin}
  - {name: globex, source: "file:globex.csv", zone: America/New_York}
freezes:
  - {name: year-end, scope: global, start: "2026-12-18T00:00", end: "2027-01-04T00:00"}
  - {name: fair, scope: company, tenant: acme, start: "2026-06-15T12:00",
     end: "2026-06-17T23:30", zone: Europe/Berlin}
profiles:
  - {name: p, os: debian, device: server, manager: apt, updates: all, reboot: if_needed,
     host_deadline: 5m,
     waves: [{name: pilot, kind: pilot, size: 1, gate: {max_errors: 0, min_observed: 1, soak: 1s}},
             {name: broad, kind: broad, gate: {max_errors: 0, min_observed: 1, soak: 1s}}]}
logins: [{name: default, user: root, key: "agent:", known_hosts: "file:known_hosts"}]
hosts:
  - {name: a1, tenant: acme, address: 192.0.2.1, labels: {os: debian, device: server}}
  - {name: g1, tenant: globex, address: 192.0.2.2, labels: {os: debian, device: server}}
feeds: {source: "directory:feeds"}
"""

ACME = """
schema: wavemend.roster/1
people:
  - name: Anna
    skills: [linux]
    weekly: [{days: [mon, tue, wed, thu, fri], start: "06:30", end: "14:30"}]
    absences:
      - {first: "2026-02-09", last: "2026-02-13", reason: sick leave}
      - {first: "2026-08-03", last: "2026-08-28", reason: holidays}
  - name: Ben
    skills: [linux, windows]
    weekly: [{days: [mon, tue, wed], start: "07:00", end: "15:00", first: "2026-03-01"}]
    absences: [{first: "2026-08-12", last: "2026-08-12", reason: sick leave}]
"""
ACME_AWAY = {
    "Anna": [(date(2026, 2, 9), date(2026, 2, 13)), (date(2026, 8, 3), date(2026, 8, 28))],
    "Ben": [(date(2026, 8, 12), date(2026, 8, 12))],
}
GLOBEX_SICK = [date(2026, 4, 7), date(2026, 10, 1)]

HOLIDAYS_DE_BY = {
    (1, 1), (1, 6), (4, 3), (4, 6), (5, 1), (5, 14), (5, 25), (6, 4), (10, 3), (11, 1), (12, 25),
    (12, 26),
}  # fmt: skip
"""Bavaria 2026, statewide but for the Assumption, which counts in most communities: below."""
HOLIDAYS_US = {
    (1, 1), (1, 19), (2, 16), (5, 25), (6, 19), (7, 3), (7, 4), (9, 7), (10, 12), (11, 11),
    (11, 26), (12, 25),
}  # fmt: skip
"""United States 2026, with Independence Day observed on the Friday before."""


def globex_table() -> str:
    """Kim is there Monday to Saturday 08:00 to 12:00; Lou only from 09:00, without the skill."""
    rows = ["person,skills,start,end,kind"]
    day = date(YEAR, 1, 1)
    while day <= date(YEAR + 1, 1, 3):
        if day.weekday() != 6:
            rows.append(f"Kim,storage,{day}T08:00,{day}T12:00,shift")
            rows.append(f"Lou,network,{day}T09:00,{day}T17:00,shift")
        day += timedelta(days=1)
    rows += [f"Kim,,{day}T00:00,{day}T09:30,absence" for day in GLOBEX_SICK]
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class Company:
    name: str
    window: str
    zone: ZoneInfo
    start: time
    hours: timedelta
    last_start: timedelta


ACME_CO = Company(
    "acme", "berlin", ZoneInfo("Europe/Berlin"), time(22), timedelta(hours=6), timedelta(hours=5)
)
GLOBEX_CO = Company(
    "globex", "york", ZoneInfo("America/New_York"), time(1, 30), timedelta(hours=4),
    timedelta(hours=3, minutes=15),
)  # fmt: skip


FIGURES = {"acme": (228, 137), "globex": (288, 77)}
"""Nights used and skipped: so that neither opinion can become "never" or "always" unseen."""


# --- the second opinion ---


def works(company: str, day: date) -> bool:
    """Say whether a local date is a working day with somebody of use in all of its first hours."""
    if company == "acme":
        if day.weekday() >= 5 or (day.month, day.day) in HOLIDAYS_DE_BY:
            return False
        anna = not away("Anna", day)
        ben = day.weekday() <= 2 and day >= date(2026, 3, 1) and not away("Ben", day)
        return anna or ben
    if day.weekday() == 6 or (day.month, day.day) in HOLIDAYS_US:
        return False
    return day not in GLOBEX_SICK


def away(person: str, day: date) -> bool:
    return any(first <= day <= last for first, last in ACME_AWAY[person])


def frozen(company: str, moment: datetime) -> bool:
    """Say whether a freeze holds at a moment."""
    berlin = moment.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    fair = datetime(2026, 6, 15, 12) <= berlin < datetime(2026, 6, 17, 23, 30)  # noqa: DTZ001
    return (company == "acme" and fair) or (
        datetime(2026, 12, 18) <= utc < datetime(2027, 1, 4)  # noqa: DTZ001
    )


def may_start(company: Company, opening: Opening, moment: datetime) -> bool:
    end = opening.occurrence.end.astimezone(company.zone)
    # Both windows end before the watched hours of the day they end on.
    return works(company.name, end.date()) and not frozen(company.name, moment)


# --- the product ---


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    folder = tmp_path_factory.mktemp("nights")
    (folder / "acme.yaml").write_text(ACME)
    (folder / "globex.csv").write_text(globex_table())
    (folder / "fleet.yaml").write_text(FLEET)
    return INVENTORIES["file"]()(folder / "fleet.yaml")


@pytest.fixture(scope="module")
def almanac(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Almanac:
    declared = Declared(
        base=Path(fleet.source_path).parent,
        calendars=fleet.calendars,
        rosters=fleet.rosters,
        freezes=fleet.freezes,
        companies=tuple(fleet.calendar_of(tenant.name) for tenant in fleet.tenants),
    )
    folder = Site(home=tmp_path_factory.mktemp("home")).calendars
    return AlmanacReader(declared=declared, folder=folder).read(FIRST)


def year_of(fleet: Fleet, almanac: Almanac, company: Company) -> Iterator[Opening]:
    openings = preview(
        fleet.window(company.window), fleet.calendar_of(company.name), almanac, FIRST, 365
    )
    assert len(openings) == 365
    return iter(openings)


@pytest.mark.parametrize("company", [ACME_CO, GLOBEX_CO], ids=lambda c: c.name)
def test_ac_17_no_wave_of_a_year_starts_before_an_unstaffed_morning(
    fleet: Fleet, almanac: Almanac, company: Company
) -> None:
    used = skipped = 0
    for opening in year_of(fleet, almanac, company):
        begins = opening.begins
        if begins is None:
            skipped += 1
            moments = quarter_hours(opening)
            assert not any(may_start(company, opening, moment) for moment in moments), opening
        else:
            used += 1
            assert may_start(company, opening, begins), opening
            earlier = [moment for moment in quarter_hours(opening) if moment < begins]
            assert not any(may_start(company, opening, moment) for moment in earlier), opening
    assert (used, skipped) == FIGURES[company.name]


def quarter_hours(opening: Opening) -> Iterator[datetime]:
    moment = opening.occurrence.start
    while moment < opening.occurrence.last_start:
        yield moment
        moment += timedelta(minutes=15)


@pytest.mark.parametrize("company", [ACME_CO, GLOBEX_CO], ids=lambda c: c.name)
def test_ac_17_every_night_that_is_not_used_or_begins_later_names_its_reason(
    fleet: Fleet, almanac: Almanac, company: Company
) -> None:
    for opening in year_of(fleet, almanac, company):
        if opening.begins == opening.occurrence.start:
            assert opening.bars == ()
            continue
        told = " ".join(bar.reason for bar in opening.bars)
        morning = opening.occurrence.end.astimezone(company.zone).date()
        if frozen(company.name, opening.occurrence.start):
            assert "year-end" in told or "fair" in told
        if not works(company.name, morning):
            assert str(morning) in told
            assert holiday_named(company.name, morning, told)


def holiday_named(company: str, day: date, told: str) -> bool:
    """Say whether a reason tells a weekend, a holiday and missing staff apart."""
    if day.weekday() == 6 or (company == "acme" and day.weekday() == 5):
        return "no working day" in told
    region, days = ("DE-BY", HOLIDAYS_DE_BY) if company == "acme" else ("US", HOLIDAYS_US)
    if (day.month, day.day) in days:
        return f"is a public holiday ({region}: " in told
    return "is on duty on" in told and "linux" in told
