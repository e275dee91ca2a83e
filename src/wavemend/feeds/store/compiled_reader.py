"""Reading a compiled feed state: Mappings that ask the file for one key at a time.

Opening costs milliseconds and a few megabytes whatever the size. A `State` may be used from
several threads. The file is opened as immutable: an accepted state is never changed, and one that
is pruned while it is read stays readable until it is closed.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from wavemend.advisories import (
    Advisory,
    AdvisoryStatus,
    Cvss,
    Exploit,
    KevEntry,
    Lifecycle,
    Ssvc,
    UpdateClass,
)
from wavemend.errors import FeedRejected
from wavemend.feeds.store.compiled_columns import Scores
from wavemend.feeds.store.compiled_schema import (
    FORMAT,
    at_moment,
    clean,
    to_day,
    to_flag,
    to_moment,
)
from wavemend.versions import Scheme

_V = TypeVar("_V")

_ADVISORY = """
SELECT a.record, a.fixed_version, p.release, p.package,
    r.feed, r.name, r.document, r.summary, r.published,
    t.status, t.scheme, t.by_source, t.arch, t.module, t.update_class, t.urgency, t.unimportant,
    t.note, t.restart
FROM {source}
JOIN record r ON r.id = a.record
JOIN terms t ON t.id = a.terms
WHERE {where} ORDER BY {order}
"""
_BY_PLACE = _ADVISORY.format(
    source="place p JOIN advisory a ON a.place = p.id",
    where="p.release = ? AND p.package = ?",
    order="r.name, a.id",
)
_CVES_BY_PLACE = """
SELECT c.record, c.cve FROM record_cve c
WHERE c.record IN (
    SELECT a.record FROM place p JOIN advisory a ON a.place = p.id
    WHERE p.release = ? AND p.package = ?
) ORDER BY c.record, c.n
"""
_BY_CVE = _ADVISORY.format(
    source="advisory a JOIN place p ON p.id = a.place",
    where="a.record IN (SELECT record FROM record_cve WHERE cve = ?)",
    order="p.release, p.package, r.name, a.id",
)
_CVES_BY_CVE = """
SELECT c.record, c.cve FROM record_cve c
WHERE c.record IN (SELECT record FROM record_cve WHERE cve = ?) ORDER BY c.record, c.n
"""


class State:
    """One compiled feed state, open for reading. Raises FeedRejected for a file that is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
            )
            self._meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        except sqlite3.Error as error:
            raise FeedRejected(f"{path} is not a compiled feed state: {error}.") from None
        if self._meta.get("format") != str(FORMAT):
            raise FeedRejected(f"{path} is of format {self._meta.get('format')}, not {FORMAT}.")
        self.model = self._meta["model"]
        self.kev_complete = self._meta["kev_complete"] == "1"
        self.releases = frozenset(name for (name,) in self.rows("SELECT name FROM release"))
        self._name_tables()

    def _name_tables(self) -> None:
        self.epss = Scores(self)
        self.kev = Table(
            self,
            "kev",
            "SELECT date_added, due_date, ransomware, name FROM kev WHERE cve = ?",
            _kev,
        )
        self.cvss = Table(
            self,
            "cvss",
            "SELECT a.version, a.vector, a.score, a.computed, a.source FROM cvss c "
            "JOIN assessment a ON a.id = c.assessment WHERE c.cve = ? ORDER BY c.n",
            _cvss,
        )
        self.ssvc = Table(
            self,
            "ssvc",
            "SELECT exploitation, automatable, impact_total, source FROM ssvc WHERE cve = ?",
            _ssvc,
        )
        self.exploits = Table(
            self,
            "exploit",
            "SELECT kind, reference, published FROM exploit WHERE cve = ? ORDER BY n",
            _exploits,
        )
        self.published = Table(
            self, "published", "SELECT at FROM published WHERE cve = ?", _published
        )
        self.summaries = Table(self, "summary", "SELECT text FROM summary WHERE cve = ?", _summary)
        self.advisories = Places(self, "place", self._advisories)
        self.lifecycles = Places(self, "lifecycle", self._lifecycles)
        self.statements = Statements(self)

    def __reduce__(self) -> tuple[type["State"], tuple[Path]]:
        """Travel to another process as the file's place."""
        return State, (self.path,)

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        self._db.close()

    def rows(self, query: str, parameters: Iterable[object] = ()) -> list[Any]:
        """Return all rows of a query. Raises FeedRejected when the file is damaged."""
        try:
            with self._lock:
                return self._db.execute(query, tuple(parameters)).fetchall()
        except sqlite3.Error as error:
            raise FeedRejected(
                f"{self.path} cannot be read: {error}.",
                hint="run `wavemend feeds refresh --online`, or with `--from FOLDER` instead",
            ) from None

    def size(self, table: str) -> int:
        """Return how many keys a table has, without counting them now."""
        return int(self._meta.get(f"rows {table}", "0"))

    def _advisories(self, release: str, package: str) -> tuple[Advisory, ...]:
        key = (release, package)
        return advisories_of(self.rows(_BY_PLACE, key), self.rows(_CVES_BY_PLACE, key))

    def _lifecycles(self, release: str, package: str) -> tuple[Lifecycle, ...]:
        query = (
            "SELECT feed, document, release, package, ends, ended, paid_ends, limited, note "
            "FROM lifecycle WHERE release = ? AND package = ? ORDER BY id"
        )
        return tuple(_lifecycle(row) for row in self.rows(query, (release, package)))


@dataclass(frozen=True, slots=True, eq=False)
class Table(Mapping[str, _V], Generic[_V]):
    """One kind of knowledge, by CVE."""

    state: State
    name: str
    query: str
    build: Callable[[Sequence[Any]], _V]

    def __getitem__(self, cve: str) -> _V:
        rows = self.state.rows(self.query, (clean(cve),))
        if not rows:
            raise KeyError(cve)
        return self.build(rows)

    def __contains__(self, cve: object) -> bool:
        if not isinstance(cve, str) or not len(self):
            return False
        query = f"SELECT 1 FROM {self.name} WHERE cve = ? LIMIT 1"  # noqa: S608 - our own names
        return bool(self.state.rows(query, (clean(cve),)))

    def __iter__(self) -> Iterator[str]:
        query = f"SELECT DISTINCT cve FROM {self.name} ORDER BY cve"  # noqa: S608
        return (cve for (cve,) in self.state.rows(query))

    def __len__(self) -> int:
        return self.state.size(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Places(Mapping[tuple[str, str], tuple[_V, ...]], Generic[_V]):
    """Statements by release key and package."""

    state: State
    name: str
    read: Callable[[str, str], tuple[_V, ...]]

    def __getitem__(self, key: tuple[str, str]) -> tuple[_V, ...]:
        release, package = key
        found = self.read(clean(release), clean(package))
        if not found:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        query = f"SELECT DISTINCT release, package FROM {self.name} ORDER BY release, package"  # noqa: S608
        return ((release, package) for release, package in self.state.rows(query))

    def __len__(self) -> int:
        if self.name == "place":
            return self.state.size("place")
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)
class Statements(Mapping[str, tuple[Advisory, ...]]):
    """Advisories by CVE."""

    state: State

    def __getitem__(self, cve: str) -> tuple[Advisory, ...]:
        key = (clean(cve),)
        found = advisories_of(self.state.rows(_BY_CVE, key), self.state.rows(_CVES_BY_CVE, key))
        if not found:
            raise KeyError(cve)
        return found

    def __iter__(self) -> Iterator[str]:
        return (
            cve for (cve,) in self.state.rows("SELECT DISTINCT cve FROM record_cve ORDER BY cve")
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)


def advisories_of(rows: Sequence[Any], cves: Sequence[Any]) -> tuple[Advisory, ...]:
    """Build advisories from their rows and the CVEs of their records."""
    named: dict[int, tuple[str, ...]] = {}
    for record, cve in cves:
        named[record] = (*named.get(record, ()), cve)
    return tuple(_advisory(row, named.get(row[0], ())) for row in rows)


def _advisory(row: Any, cves: tuple[str, ...]) -> Advisory:
    _, fixed, release, package, feed, name, document, summary, published = row[:9]
    status, scheme, by_source, arch, module, update_class, urgency, unimportant = row[9:17]
    note, restart = row[17:]
    return Advisory(
        id=name,
        feed=feed,
        document=document,
        release=release,
        package=package,
        fixed_version=fixed,
        status=AdvisoryStatus(status),
        cves=cves,
        scheme=Scheme(scheme),
        by_source=bool(by_source),
        arch=arch,
        module=module,
        update_class=UpdateClass(update_class),
        summary=summary,
        urgency=urgency,
        published=to_moment(published),
        unimportant=bool(unimportant),
        note=note,
        restart=None if restart is None else bool(restart),
    )


def _lifecycle(row: Any) -> Lifecycle:
    feed, document, release, package, ends, ended, paid_ends, limited, note = row
    return Lifecycle(
        feed=feed,
        document=document,
        release=release,
        package=package,
        ends=to_day(ends),
        ended=bool(ended),
        paid_ends=to_day(paid_ends),
        limited=bool(limited),
        note=note,
    )


def _kev(rows: Sequence[Any]) -> KevEntry:
    ((added, due, ransomware, name),) = rows
    return KevEntry(
        date_added=date.fromordinal(added),
        due_date=to_day(due),
        ransomware=to_flag(ransomware),
        name=name,
    )


def _cvss(rows: Sequence[Any]) -> tuple[Cvss, ...]:
    return tuple(
        Cvss(version=version, vector=vector, score=score, computed_score=computed, source=source)
        for version, vector, score, computed, source in rows
    )


def _ssvc(rows: Sequence[Any]) -> Ssvc:
    ((exploitation, automatable, impact_total, source),) = rows
    return Ssvc(
        exploitation=exploitation,
        automatable=to_flag(automatable),
        impact_total=to_flag(impact_total),
        source=source,
    )


def _exploits(rows: Sequence[Any]) -> tuple[Exploit, ...]:
    return tuple(
        Exploit(kind=kind, reference=reference, published=to_day(published))
        for kind, reference, published in rows
    )


def _published(rows: Sequence[Any]) -> datetime:
    return at_moment(rows[0][0])


def _summary(rows: Sequence[Any]) -> str:
    return str(rows[0][0])
