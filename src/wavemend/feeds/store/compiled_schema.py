"""The form of a compiled feed state: its tables, and how values lie in them.

`FORMAT` is raised with every change of a table; a state of another format is compiled again from
its documents.
"""

from datetime import UTC, date, datetime, timedelta

FORMAT = 3
CONTENT_FILE = "content.sqlite"

COUNTED = (
    "epss",
    "kev",
    "cvss",
    "ssvc",
    "exploit",
    "published",
    "summary",
    "place",
    "lifecycle",
)
"""Mappings whose number of keys is written down when the file is complete."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Columns of chunks, see `compiled_columns.py`; no row of `epss` or `choice` is one CVE.
CREATE TABLE epss (
    first TEXT PRIMARY KEY, cves TEXT NOT NULL, probability BLOB NOT NULL,
    percentile BLOB NOT NULL, day BLOB NOT NULL
);
CREATE TABLE choice (
    first TEXT PRIMARY KEY, cves TEXT NOT NULL, assessment BLOB NOT NULL
);
CREATE TABLE kev (
    cve TEXT PRIMARY KEY, date_added INTEGER NOT NULL, due_date INTEGER, ransomware INTEGER,
    name TEXT NOT NULL
) WITHOUT ROWID;

-- 62,734 published vectors were 2,779 different ones: each is written once.
CREATE TABLE assessment (
    id INTEGER PRIMARY KEY, version TEXT NOT NULL, vector TEXT NOT NULL, score REAL NOT NULL,
    computed REAL, source TEXT NOT NULL
);
CREATE TABLE cvss (
    cve TEXT, n INTEGER, assessment INTEGER NOT NULL, PRIMARY KEY (cve, n)
) WITHOUT ROWID;

CREATE TABLE ssvc (
    cve TEXT PRIMARY KEY, exploitation TEXT NOT NULL, automatable INTEGER, impact_total INTEGER,
    source TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE exploit (
    cve TEXT, n INTEGER, kind TEXT NOT NULL, reference TEXT NOT NULL, published INTEGER,
    PRIMARY KEY (cve, n)
) WITHOUT ROWID;
CREATE TABLE published (cve TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE summary (cve TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;

-- An advisory is a record (what a document says) about a place (a package in a release) on
-- certain terms. One record speaks of many places; its texts are written once.
CREATE TABLE place (
    id INTEGER PRIMARY KEY, release TEXT NOT NULL, package TEXT NOT NULL,
    UNIQUE (release, package)
);
CREATE TABLE release (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE record (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL,
    summary TEXT NOT NULL, published INTEGER
);
CREATE TABLE record_cve (
    record INTEGER, n INTEGER, cve TEXT NOT NULL, PRIMARY KEY (record, n)
) WITHOUT ROWID;
CREATE TABLE terms (
    id INTEGER PRIMARY KEY, status TEXT NOT NULL, scheme TEXT NOT NULL, by_source INTEGER NOT NULL,
    arch TEXT NOT NULL, module TEXT NOT NULL, update_class TEXT NOT NULL, urgency TEXT NOT NULL,
    unimportant INTEGER NOT NULL, note TEXT NOT NULL, restart INTEGER
);
CREATE TABLE advisory (
    id INTEGER PRIMARY KEY, place INTEGER NOT NULL, record INTEGER NOT NULL,
    terms INTEGER NOT NULL, fixed_version TEXT
);
CREATE TABLE lifecycle (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, document TEXT NOT NULL, release TEXT NOT NULL,
    package TEXT NOT NULL, ends INTEGER, ended INTEGER NOT NULL, paid_ends INTEGER,
    limited INTEGER NOT NULL, note TEXT NOT NULL
);
"""

WAITING = """
CREATE TEMP TABLE scored (
    cve TEXT PRIMARY KEY, probability REAL NOT NULL, percentile REAL, day INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TEMP TABLE chosen (cve TEXT PRIMARY KEY, assessment INTEGER NOT NULL) WITHOUT ROWID;
"""
"""Rows of the tables that are packed once all is in; in a temporary file, not in memory."""

INDEXES = """
CREATE INDEX advisory_place ON advisory (place);
CREATE INDEX advisory_record ON advisory (record);
CREATE INDEX record_cve_cve ON record_cve (cve);
CREATE INDEX lifecycle_place ON lifecycle (release, package);
INSERT INTO release SELECT DISTINCT release FROM place;
"""
"""Made when everything is in: kept up to date row by row they would cost twice the time."""

BUILDING = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -32768;
"""
"""The file is not in use while it is built, and thrown away whole when that fails: neither a
journal nor a flush per transaction protects anything. It is flushed once, when it is adopted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def clean(text: str) -> str:
    """Return a text SQLite can hold: JSON may bring half a surrogate pair, which is no character.

    Everything else stays as it came, control characters too: it is escaped where it is shown.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def of_day(day: date | None) -> int | None:
    """Return a date as a number of days."""
    return None if day is None else day.toordinal()


def to_day(number: int | None) -> date | None:
    """Return the date of a number of days."""
    return None if number is None else date.fromordinal(number)


def of_moment(at: datetime | None) -> int | None:
    """Return an aware time as microseconds since 1970."""
    return None if at is None else (at - _EPOCH) // _TICK


def at_moment(number: int) -> datetime:
    """Return the UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=number)


def to_moment(number: int | None) -> datetime | None:
    """Return the UTC time of microseconds since 1970; None stays None."""
    return None if number is None else at_moment(number)


def to_flag(number: int | None) -> bool | None:
    """Return a stored answer: yes, no, or not given."""
    return None if number is None else bool(number)
