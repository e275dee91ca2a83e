"""EPSS: the daily table of exploitation probabilities (FIRST EPSS SIG)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from wavemend.cve_numbers import cve_numbers
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.documents import MIB, day, moment, read_bytes, reject

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 32 * MIB
"""Decompressed; the table of 2026 has 11 MB. 128 MiB of rows took 705 MiB of memory."""
CHUNK_ROWS = 20_000
"""Rows given to the sink at a time: as Python values they take ten times the table's memory."""
_HEADING = re.compile(r"#model_version:([^,\s]{1,40}),score_date:([^,\s]{1,40})")
_NAME_DATE = re.compile(r"epss_scores-([0-9]{4}-[0-9]{2}-[0-9]{2})")
_UNKNOWN_MODEL = "before 2022-02-04"
"""Tables before that day do not name their model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One day's table, not yet read: its rows are still text."""

    name: str
    model: str
    day: date
    rows: bytes
    """With the line that names the columns."""

    @property
    def count(self) -> int:
        return self.rows.count(b"\n") - 1


def open_table(document: Document) -> Table:
    """Tell which layout since 2021-04-14 a table has, and of which day it is.

    The # line holds one comma, so a reader that counts columns on it sees two: it is cut first.
    """
    body, name = read_bytes(document, most=MOST_BYTES), document.name
    first, _, rest = body.partition(b"\n")
    model, score_day, table = _UNKNOWN_MODEL, None, body
    if first.startswith(b"#"):
        heading = _HEADING.fullmatch(first.decode("ascii", "replace").strip())
        if heading is None:
            reject(name, f"its # line is not in a known form: {first[:80]!r}.")
        model, score_day, table = heading[1], _score_day(heading[2]), rest
    elif (dated := _NAME_DATE.search(name)) is not None:
        score_day = day(dated[1])
    if score_day is None:
        reject(name, "does not say of which day its scores are.")
    if not table.endswith(b"\n"):
        reject(name, "ends in the middle of a line: the file was cut off.")
    columns = table.partition(b"\n")[0].strip().split(b",")
    if columns not in ([b"cve", b"epss"], [b"cve", b"epss", b"percentile"]):
        reject(name, f"its columns are not cve, epss and percentile: {columns!r:.80}.")
    return Table(name=name, model=model, day=score_day, rows=table)


def _score_day(text: str) -> date | None:
    at = moment(re.sub(r"([+-][0-9]{2})([0-9]{2})$", r"\1:\2", text))
    return at.date() if at else None


def read_frame(table: Table) -> "pd.DataFrame":
    """Return the table with columns cve, epss and, where it has one, percentile; all checked."""
    import pandas as pd

    try:
        frame = pd.read_csv(
            BytesIO(table.rows),
            dtype={"cve": "str", "epss": "float64", "percentile": "float64"},
            index_col=False,
            keep_default_na=False,
            encoding="ascii",
        )
    except (ValueError, OverflowError) as error:  # also pandas' ParserError
        reject(table.name, f"is not a table of numbers: {error}.")
    if len(frame) != table.count:
        # A quotation mark or an empty line swallows rows without an error.
        reject(table.name, f"has {table.count} lines and gives {len(frame)} rows.")
    _check(frame, table.name)
    return frame


def _check(frame: "pd.DataFrame", name: str) -> None:
    """Refuse the whole table for one impossible row: a corrupted copy is not partly right."""
    import numpy as np

    try:
        numbers = cve_numbers(frame["cve"])
    except FeedRejected as error:
        reject(name, error.message)
    ordered = np.sort(numbers)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        reject(name, f"{frame['cve'].iloc[int((numbers == twice[0]).argmax())]} occurs twice.")
    for column in frame.columns[1:]:
        outside = frame.loc[~frame[column].between(0.0, 1.0), "cve"]  # also NaN
        if len(outside):
            reject(name, f"{column} of {outside.iloc[0]} is not from 0 to 1.")


def _chunks(frame: "pd.DataFrame") -> Iterator[list[tuple[str, float, float | None]]]:
    ranked = "percentile" in frame.columns
    for start in range(0, len(frame), CHUNK_ROWS):
        part = frame.iloc[start : start + CHUNK_ROWS]
        places: list[float | None] = part["percentile"].tolist() if ranked else [None] * len(part)
        yield list(zip(part["cve"].tolist(), part["epss"].tolist(), places, strict=True))


@dataclass(frozen=True, slots=True)
class EpssFeed:
    """The bulk file; the API exists only as a fallback and pages 360,000 rows."""

    name: str = "epss"
    sources: tuple[str, ...] = (
        "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
        "https://epss.cyentia.com/epss_scores-current.csv.gz",
    )
    quiet: timedelta = timedelta(hours=36)
    """Scores of a day come about noon UTC, so yesterday's are normal in the morning."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one file."""
        downloads.get(source, "epss_scores.csv.gz")

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is an EPSS table."""
        return name.endswith((".csv", ".csv.gz", ".csv.xz"))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the newest table; rows of other days, which a folder may hold, are counted."""
        newest: Table | None = None
        for document in documents:
            table = open_table(document)
            sink.entry(table.count)
            if newest is None:
                newest = table
                continue
            older, newest = sorted((table, newest), key=lambda item: item.day)
            sink.skip("row of another day's table", older.count)
        if newest is None:
            reject("epss", "there is no table.")
        frame = read_frame(newest)
        for rows in _chunks(frame):
            sink.epss(rows, day=newest.day)
            sink.used(len(rows))
        ranked = len(frame) if "percentile" in frame.columns else 0
        return Heading(
            data_date=datetime.combine(newest.day, time(), UTC),
            model=newest.model,
            coverage={"epss": len(frame), "percentile": ranked},
        )


FEED = EpssFeed()
