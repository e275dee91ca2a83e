"""EPSS: the daily table of exploitation probabilities (FIRST EPSS SIG)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from wavemend.advisories import Epss
from wavemend.feeds import Content, Document, Downloads
from wavemend.feeds.documents import CVE_PATTERN, MIB, day, moment, read_bytes, reject

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 128 * MIB
"""Decompressed; the table of 2026 has 11 MB."""
_HEADING = re.compile(r"#model_version:([^,\s]{1,40}),score_date:([^,\s]{1,40})")
_NAME_DATE = re.compile(r"epss_scores-([0-9]{4}-[0-9]{2}-[0-9]{2})")
_UNKNOWN_MODEL = "before 2022-02-04"
"""Tables before that day do not name their model."""


@dataclass(frozen=True, slots=True, eq=False)
class EpssTable(Mapping[str, Epss]):
    """The table as it came; values are built when asked for, 360,000 of them would be 100 MB."""

    _frame: "pd.DataFrame" = field(repr=False)
    model: str
    day: date

    def __getitem__(self, cve: str) -> Epss:
        row = self._frame.index.get_loc(cve)
        probability = self._frame["epss"].to_numpy()[row]
        percentile = (
            float(self._frame["percentile"].to_numpy()[row])
            if "percentile" in self._frame.columns
            else None
        )
        return Epss(
            probability=float(probability),
            percentile=percentile,
            model=self.model,
            date=self.day,
        )

    def __contains__(self, cve: object) -> bool:
        return cve in self._frame.index

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.index)

    def __len__(self) -> int:
        return len(self._frame)


def parse_table(body: bytes, name: str) -> EpssTable:
    """Read one table, in any of the layouts since 2021-04-14.

    The # line holds one comma, so a reader that counts columns on it sees two: it is cut first.
    """
    import pandas as pd

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
    try:
        frame = pd.read_csv(
            BytesIO(table),
            dtype={"cve": "str", "epss": "float64", "percentile": "float64"},
            index_col=False,
            keep_default_na=False,
            encoding="ascii",
        )
    except (ValueError, OverflowError) as error:  # also pandas' ParserError
        reject(name, f"is not a table of numbers: {error}.")
    _check(frame, name)
    return EpssTable(frame.set_index("cve"), model, score_day)


def _score_day(text: str) -> date | None:
    at = moment(re.sub(r"([+-][0-9]{2})([0-9]{2})$", r"\1:\2", text))
    return at.date() if at else None


def _check(frame: "pd.DataFrame", name: str) -> None:
    """Refuse the whole table for one impossible row: a corrupted copy is not partly right."""
    wrong = frame.loc[~frame["cve"].str.fullmatch(CVE_PATTERN), "cve"]
    if len(wrong):
        reject(name, f"{wrong.iloc[0]!r:.60} is not a CVE.")
    twice = frame.loc[frame["cve"].duplicated(), "cve"]
    if len(twice):
        reject(name, f"{twice.iloc[0]} occurs twice.")
    for column in frame.columns[1:]:
        outside = frame.loc[~frame[column].between(0.0, 1.0), "cve"]  # also NaN
        if len(outside):
            reject(name, f"{column} of {outside.iloc[0]} is not from 0 to 1.")


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
        return name.endswith((".csv", ".csv.gz"))

    def parse(self, documents: Sequence[Document]) -> Content:
        """Read the newest table; a folder may hold several days."""
        tables = [
            parse_table(read_bytes(document, most=MOST_BYTES), document.name)
            for document in documents
        ]
        if not tables:
            reject("epss", "there is no table.")
        table = max(tables, key=lambda item: item.day)
        return Content(
            data_date=datetime.combine(table.day, time(), UTC),
            count=len(table),
            model=table.model,
            coverage={"epss": len(table)},
            epss=table,
        )


FEED = EpssFeed()
