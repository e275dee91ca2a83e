"""Reading calendars and rosters into an almanac: what they hold now, or why nobody can say.

A file is read each time it is asked for: what it says now holds, and one that cannot be read
forbids at once. An address is asked every few minutes at most; its last good copy holds until it
is older than `max_age`, then it forbids too. Nothing is parsed again while no byte has changed, so
asking before every start of a host costs little.
"""

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock

from wavemend.calendar import ical
from wavemend.calendar.almanac import Almanac, Shift, Span
from wavemend.calendar.copies import LIMITS, TOLERATED, Copy, renewed
from wavemend.calendar.declared import CalendarSource, Freeze, Roster, TenantCalendar
from wavemend.calendar.durations import format_duration
from wavemend.calendar.freezes import HORIZON, zoned_name
from wavemend.calendar.holidays_by_region import days_off
from wavemend.calendar.ical import Event, folded, short
from wavemend.calendar.rosters import kind_of, parse_roster
from wavemend.calendar.windows import zone_info
from wavemend.documents import sha256
from wavemend.errors import CalendarError
from wavemend.feeds.reading.http import HttpClient
from wavemend.fleet import Fleet

FILE = "file:"

PAST = timedelta(days=31)
"""What ended longer ago is left out."""

ROSTERS_AHEAD = timedelta(days=800)
"""Two years can be simulated; shifts of many people in five would be more than calendars hold."""

_A_DAY_MORE = timedelta(days=2)
"""An almanac is put together once a day, and known until `HORIZON` after every moment of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a fleet says about its calendars."""

    base: Path
    """Folder that relative files start in."""
    calendars: tuple[CalendarSource, ...] = ()
    rosters: tuple[Roster, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    companies: tuple[TenantCalendar, ...] = ()


def declared_by(fleet: Fleet) -> Declared:
    """Return the calendars of a fleet, with what they are read for."""
    return Declared(
        base=Path(fleet.source_path).parent,
        calendars=fleet.calendars,
        rosters=fleet.rosters,
        freezes=fleet.freezes,
        companies=tuple(fleet.calendar_of(tenant.name) for tenant in fleet.tenants),
    )


def unreadable_files(declared: Declared, now: datetime) -> dict[str, str]:
    """Return the calendars and rosters in files that would forbid now, and why. Fetches nothing."""
    local = replace(
        declared,
        calendars=tuple(c for c in declared.calendars if c.source.startswith(FILE)),
        rosters=tuple(r for r in declared.rosters if r.source.startswith(FILE)),
    )
    names = {each.name for each in local.calendars} | {each.name for each in local.rosters}
    found = AlmanacReader(declared=local, folder=declared.base).read(now).unreadable
    return {name: found[name] for name in sorted(names & found.keys())}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """One calendar or roster as it is now."""

    content: bytes = b""
    digest: str = ""
    trouble: str = ""
    """Why it cannot be believed; then there is no content."""
    stale: str = ""


@dataclass(slots=True, kw_only=True)
class AlmanacReader:
    """Reads all calendars of a fleet. May be asked by several threads at once."""

    declared: Declared
    folder: Path
    """Where the copies of calendars from addresses are kept."""
    client: HttpClient = field(default_factory=lambda: HttpClient(limits=LIMITS))
    _lock: Lock = field(default_factory=Lock)
    _read: Mapping[str, _Document] = field(default_factory=dict)
    _of_day: date | None = None
    _almanac: Almanac | None = None

    def read(self, now: datetime) -> Almanac:
        """Return what everything holds at `now` (UTC-aware). Never raises for what is outside."""
        with self._lock:
            sources: list[CalendarSource | Roster] = [*self.declared.calendars]
            sources += self.declared.rosters
            found = {source.name: self._document(source, now) for source in sources}
            if self._almanac is None or (found, now.date()) != (self._read, self._of_day):
                self._almanac = _almanac(self.declared, found, now)
                self._read, self._of_day = found, now.date()
            return replace(self._almanac, read_at=now)

    def _document(self, source: CalendarSource | Roster, now: datetime) -> _Document:
        try:
            if source.source.startswith(FILE):
                content = _content_of_file(self.declared.base / source.source[len(FILE) :])
                return _Document(content=content, digest=sha256(content))
            copy = renewed(
                self.folder / source.name, source.source, now, self.client, _check_of(source, now)
            )
            return _believed(copy, source.max_age, now)
        except CalendarError as error:
            return _Document(trouble=error.message)


def _content_of_file(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise CalendarError(f"{path.name} is no file")
        with path.open("rb") as file:
            content = file.read(ical.MAX_BYTES + 1)
    except OSError as error:
        raise CalendarError(f"{path.name} cannot be read ({error.strerror})") from error
    if len(content) > ical.MAX_BYTES:
        raise CalendarError(f"{path.name} is larger than {ical.MAX_BYTES // 1024**2} MiB")
    return content


def _believed(copy: Copy, max_age: timedelta, now: datetime) -> _Document:
    why = f": {copy.trouble}" if copy.trouble else ""
    if copy.fetched_at is None:
        raise CalendarError(f"it was never read{why}")
    since = f"{copy.fetched_at:%Y-%m-%d %H:%M} UTC"
    if copy.fetched_at > now + TOLERATED:
        raise CalendarError(f"its copy is of {since}, which is still to come{why}")
    if now - copy.fetched_at > max_age:
        raise CalendarError(f"its copy of {since} is older than {format_duration(max_age)}{why}")
    stale = f"not renewed since {since}{why}" if why else ""
    return _Document(content=copy.document, digest=sha256(copy.document), stale=stale)


def _check_of(source: CalendarSource | Roster, now: datetime) -> Callable[[bytes, bytes], None]:
    """Return what an answer must be to replace a copy."""

    def check(answer: bytes, before: bytes) -> None:
        if isinstance(source, Roster):
            _shifts(source, answer, now)
            return
        _events(answer, "UTC", now)
        if _has_events(before) and not ical.titles(answer):
            # So answers a server that shows us nothing any more. Freezes must not vanish by it.
            raise CalendarError(
                "it holds no event any more, and an empty calendar replaces none; leave an old "
                "event in it, or take its copy out of the folder calendars"
            )

    return check


def _has_events(document: bytes) -> bool:
    """Say whether a copy holds any event; one that cannot be read is worth no more than none."""
    try:
        return bool(ical.titles(document))
    except CalendarError:
        return False


def _events(document: bytes, zone: str, now: datetime) -> tuple[Event, ...]:
    since, until = now - PAST, now + HORIZON + _A_DAY_MORE
    found = ical.events(document, zone, since=_midnight(since), until=_midnight(until))
    return tuple(event for event in found if event.status != "CANCELLED")


def _shifts(roster: Roster, document: bytes, now: datetime) -> tuple[Shift, ...]:
    since, until = _midnight(now - PAST), _midnight(now + ROSTERS_AHEAD)
    kind = kind_of(roster.source)
    return parse_roster(document, kind, roster.zone, since=since, until=until)


def _midnight(moment: datetime) -> datetime:
    """Let one day ask the same question, so that its answer is found again."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _almanac(declared: Declared, found: Mapping[str, _Document], now: datetime) -> Almanac:
    unreadable = {name: document.trouble for name, document in found.items() if document.trouble}
    shifts: dict[str, tuple[Shift, ...]] = {}
    for roster in declared.rosters:
        if roster.name not in unreadable:
            try:
                shifts[roster.name] = _shifts(roster, found[roster.name].content, now)
            except CalendarError as error:
                unreadable[roster.name] = error.message
    calendars = _Calendars(documents=found, unreadable=unreadable, now=now)
    return Almanac(
        read_at=now,
        freezes=_freezes(declared, calendars),
        days_off={rules.tenant: _days_off(rules, calendars) for rules in declared.companies},
        shifts=shifts,
        unreadable=unreadable,
        stale={name: document.stale for name, document in found.items() if document.stale},
        digests={name: document.digest for name, document in found.items() if document.digest},
    )


@dataclass(slots=True, kw_only=True)
class _Calendars:
    """The calendars while an almanac is put together; what cannot be read is noted."""

    documents: Mapping[str, _Document]
    unreadable: dict[str, str]
    now: datetime

    def events(self, name: str, zone: str) -> tuple[Event, ...] | None:
        """Return the events of a calendar in a zone; None: `unreadable` says why."""
        if name not in self.documents:
            self.unreadable.setdefault(name, "it is not declared")
        if name in self.unreadable:
            return None
        try:
            return _events(self.documents[name].content, zone, self.now)
        except CalendarError as error:
            self.unreadable[name] = error.message
            return None


def _freezes(declared: Declared, calendars: _Calendars) -> dict[str, tuple[Span, ...]]:
    """Return the spans of every freeze that stands in a calendar."""
    zones = {rules.tenant: rules.zone for rules in declared.companies}
    found: dict[str, tuple[Span, ...]] = {}
    for freeze in declared.freezes:
        if not freeze.calendar:
            continue
        mine = {freeze.name: zones.get(freeze.tenant, "UTC")}
        if not freeze.tenant:
            mine = {zoned_name(freeze.name, zone): zone for zone in sorted(set(zones.values()))}
        for name, zone in mine.items():
            events = calendars.events(freeze.calendar, zone)
            if events is None:
                break
            try:
                found[name] = _spans(freeze, events)
            except CalendarError as error:
                calendars.unreadable[freeze.calendar] = error.message
    return found


def _spans(freeze: Freeze, events: tuple[Event, ...]) -> tuple[Span, ...]:
    mine = [event for event in events if _matches(freeze.summaries, event.summary)]
    for event in mine:
        if event.end <= event.start:
            name = short(event.summary) or f"{event.start:%Y-%m-%d %H:%M} UTC"
            raise CalendarError(
                f'event "{name}" lasts no time, so it forbids nothing; give it an end'
            )
    return tuple(sorted(Span(start=e.start, end=e.end, summary=short(e.summary)) for e in mine))


def _matches(patterns: tuple[str, ...], summary: str) -> bool:
    # Who writes FREEZE into a calendar means it as much as who writes Freeze.
    title = folded(summary)
    return not patterns or any(fnmatchcase(title, folded(glob)) for glob in patterns)


def _days_off(rules: TenantCalendar, calendars: _Calendars) -> dict[date, str]:
    """Return a company's days off beside its weekends; holidays before calendars' words."""
    if rules.duty is None:
        return {}
    year = calendars.now.year
    years = tuple(range(year - 1, year + HORIZON.days // 365 + 2))
    found = days_off(rules.duty.holidays, years)
    for name in rules.duty.calendars:
        for event in calendars.events(name, rules.zone) or ():
            for day in _days(event, rules.zone, years) if event.all_day else ():
                found.setdefault(day, f"a day off (calendar {name}: {short(event.summary)})")
    return dict(sorted(found.items()))


def _days(event: Event, zone: str, years: tuple[int, ...]) -> list[date]:
    """Return the local days of an all-day event, within the years that are asked for."""
    info = zone_info(zone)
    first = max(event.start.astimezone(info).date(), date(years[0], 1, 1))
    end = min(event.end.astimezone(info).date(), date(years[-1] + 1, 1, 1))
    return [first + timedelta(days=number) for number in range((end - first).days)]
