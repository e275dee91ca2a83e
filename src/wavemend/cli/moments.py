"""Moments on the command line: a day or a time, the fleet as it was then, and judging anew."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlmodel import Session

from wavemend.cli.here import here
from wavemend.errors import CalendarError, FeedError
from wavemend.feeds import DEFAULT_FEEDS
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.store.snapshots import read_current
from wavemend.fleet import Fleet
from wavemend.knowledge import Intelligence
from wavemend.ledger.assessments import JudgedHost, assessment_at, first_seen
from wavemend.ledger.intake import current_fleet, remembered_states
from wavemend.ledger.scans import fleet_at, newest_look, newest_seen_look, newest_seen_scans
from wavemend.ledger.store import Ledger
from wavemend.observations import Assessment, FeedDay, Sighting
from wavemend.site import hands_of, utc_now
from wavemend.steps.assess import Assessor, reassess_fleet

_NO_VENDOR = (
    "No vendor's feed is loaded, so nothing can be judged now; with --known-at DAY it is shown as "
    "it was judged by then."
)

_TICK = timedelta(microseconds=1)
"""The shortest time there is here: a day ends this much before the next one begins."""


def moment_of(text: str, option: str, *, begins: bool = False) -> datetime | None:
    """Return the moment an option names, UTC; None: it was not given.

    A day means its end; with `begins` its beginning, for "before that day". Raises CalendarError
    for anything that is neither a day nor a day with a time.
    """
    if not text:
        return None
    try:
        if len(text) == len("2026-11-03"):
            midnight = datetime.combine(date.fromisoformat(text), time(), UTC)
            return midnight if begins else midnight + timedelta(days=1) - _TICK
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CalendarError(
            f"{option} {text!r} is no moment",
            hint="write a day, 2026-11-03, or a time, 2026-11-03T06:30Z; without a zone it is UTC",
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What --as-of and --known-at ask for; both None: the present."""

    as_of: datetime | None = None
    known_at: datetime | None = None

    @property
    def is_past(self) -> bool:
        """Whether another time than the present is asked for."""
        return self.as_of is not None or self.known_at is not None


def then_of(as_of: str, known_at: str) -> Then:
    """Return what the two options ask for. Raises CalendarError for a moment that is to come."""
    now = utc_now()
    for option, text in (("--as-of", as_of), ("--known-at", known_at)):
        begins = moment_of(text, option, begins=True)
        if begins is not None and begins > now:
            raise CalendarError(
                f"{option} {text} is still to come",
                hint="without the option, the list is of this moment",
            )
    return Then(as_of=moment_of(as_of, "--as-of"), known_at=moment_of(known_at, "--known-at"))


class Past:
    """The fleet at a moment of the past: which hosts there were, and how each is judged.

    With --known-at as it was judged by then. Without, it is judged at this moment by the feeds as
    they are now, with the hosts, waivers and profiles of the fleet file of that day; nothing is
    written.
    """

    def __init__(self, book: Session, then: Then) -> None:
        self.then = then
        self._book = book
        now = current_fleet(book)
        self.fleet = fleet_at(book, then.as_of or then.known_at) or now
        self._assessor: Assessor | None = None
        if then.known_at is None:
            self._assessor = Assessor(self.fleet, intelligence_of(book, now))
        self._feeds: list[tuple[FeedDay, ...]] = []

    def assessment(self, name: str) -> Assessment | None:
        """Return a host's state; None: nothing is known of it at that moment."""
        found = self._stored(name) if self._assessor is None else self._judged(name)
        if found is not None:
            self._feeds.append(found.feeds)
        return found

    def _stored(self, name: str) -> Assessment | None:
        then = self.then
        return assessment_at(self._book, name, as_of=then.as_of, known_at=then.known_at)

    def _judged(self, name: str) -> Assessment | None:
        found = newest_seen_look(self._book, name, as_of=self.then.as_of)
        if found is None or found[1].facts is None or self._assessor is None:
            return None
        look, earlier = found[1], first_seen(self._book, name)
        host = self.fleet.host(name)
        return self._assessor.assess(host, found[1].facts, look.at, utc_now(), earlier).assessment

    def first_seen(self, name: str) -> Mapping[str, Sighting]:
        """Return since when a host is known to have which finding, by its id."""
        return first_seen(self._book, name)

    @property
    def moment(self) -> datetime:
        """Return the moment it is asked about: dates before it had passed."""
        return min(filter(None, (self.then.as_of, self.then.known_at, utc_now())))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what must be said of the feeds beside the answers given so far."""
        if self._assessor is not None:
            known = self._assessor.intelligence
            return known.warnings if known.releases else (*known.warnings, _NO_VENDOR)
        return feed_warnings(self._feeds)


def intelligence_of(book: Session, fleet: Fleet) -> Intelligence:
    """Return what the feeds of a fleet say now, of whatever age; altered copies are left out."""
    feeds = fleet.feeds
    names = feeds.use or DEFAULT_FEEDS
    return load_intelligence(
        here().feed_cache,
        utc_now(),
        timedelta(hours=feeds.max_age_hours),
        feeds=names,
        remembered=remembered_states(book, names),
    )


def feed_warnings(judgements: Iterable[Sequence[FeedDay]]) -> tuple[str, ...]:
    """Return what must be said of stale and missing feeds that judgements rest on. Pure."""
    hosts: dict[tuple[str, str], int] = {}
    for feeds in judgements:
        for feed in feeds:
            if feed.stale:
                key = (feed.feed, feed.note or "stale or missing.")
                hosts[key] = hosts.get(key, 0) + 1
    return tuple(
        f"{feed}: {note} So it was when {counted(count, 'host was', 'hosts were')} judged."
        for (feed, note), count in sorted(hosts.items())
    )


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its word: `1 host`, `2 hosts`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def judged_before(judged: Sequence[JudgedHost], fleet: Fleet) -> tuple[str, ...]:
    """Say which judgements are of other feeds, or another fleet file, than are in use now."""
    digests = _digests_in_use(fleet)
    changed: dict[str, list[JudgedHost]] = {}
    for host in judged:
        differs = _differs(host, digests, fleet)
        if differs:
            changed.setdefault(differs, []).append(host)
    return tuple(
        f"{counted(len(hosts), 'host was', 'hosts were')} judged last on "
        f"{min(host.assessed_at for host in hosts):%Y-%m-%d %H:%M} UTC, before this changed: "
        f"{what}. `wavemend feeds refresh` judges anew."
        for what, hosts in sorted(changed.items())
    )


def _digests_in_use(fleet: Fleet) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for feed in fleet.feeds.use or DEFAULT_FEEDS:
        try:
            stored = read_current(here().feed_cache, feed)
        except FeedError:  # damaged or altered: `feeds status` says so, and it judges nothing
            continue
        if stored is not None:
            found[feed] = stored.manifest.snapshot.digest
    return found


def _differs(host: JudgedHost, digests: Mapping[str, str], fleet: Fleet) -> str:
    by = {feed.feed: feed for feed in host.feeds}
    words = [
        f"feed {name}" + (f" (then of {by[name].day})" if name in by and by[name].day else "")
        for name, digest in sorted(digests.items())
        if name not in by or by[name].digest != digest
    ]
    if host.fleet and host.fleet != fleet.digest:
        words.append("the fleet file")
    return ", ".join(words)


def unanswered(book: Session, name: str) -> str:
    """Say when and why the last look at a host saw nothing; empty: it answered, or none was."""
    found = newest_look(book, name)
    if found is None or found[1].facts is not None:
        return ""
    look = found[1]
    why = ": ".join(word for word in (look.reason, look.detail.rstrip(".")) if word)
    return f"{name} did not answer on {look.at:%Y-%m-%d %H:%M} UTC ({why or 'no reason given'})."


def judge_anew(ledger: Ledger) -> tuple[str, ...]:
    """Judge every host's last look by the feeds and the fleet as they are; say what came of it.

    No host is contacted. Nothing is said where no host was ever looked at.
    """
    with ledger.reading() as book:
        if not newest_seen_scans(book):
            return ()
        fleet = current_fleet(book)
        known = intelligence_of(book, fleet)
    if not known.releases:
        return ("No host was judged anew: no vendor's feed is loaded here.",)
    done = reassess_fleet(hands_of(here(), ledger, fleet), Assessor(fleet, known))
    anew = done.hosts - done.unchanged - len(done.unseen)
    new = len({item.cve for item in done.newly_exploited})
    lines = [f"{counted(anew, 'host')} judged anew, {counted(new, 'CVE')} newly exploited."]
    lines += [
        f"{item.cve} is exploited now: {item.package} on {', '.join(item.hosts)}."
        for item in done.newly_exploited
    ]
    return tuple(lines)
