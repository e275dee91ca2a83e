"""One accepted feed state, compiled: what a feed said, in one SQLite file that is asked on demand.

`compile_state(feed, fresh)` streams `feed.parse` into `<new state>/content.sqlite` and returns a
small `Content`: counts, dates and the path, never the entries. `open_state(path)` opens such a
file read-only; its Mappings (`epss`, `kev`, `cvss`, …) query by key, and the `…_frame` functions
read a whole kind at once. Tables are in `compiled_schema.py`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wavemend.advisories import Reject
from wavemend.errors import FeedError, FeedRejected
from wavemend.feeds import Document, Feed
from wavemend.feeds.store.compiled_columns import names, numbers
from wavemend.feeds.store.compiled_reader import State
from wavemend.feeds.store.compiled_schema import CONTENT_FILE
from wavemend.feeds.store.compiled_writer import Compiler
from wavemend.feeds.store.snapshots_staging import Staging

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Content",
    "State",
    "compile_documents",
    "compile_state",
    "cvss_frame",
    "epss_frame",
    "kev_frame",
    "open_state",
    "ssvc_frame",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What came of reading a feed's documents: figures to judge it by, and where the rest is."""

    path: Path
    """The compiled file; `open_state(path)` gives its entries."""
    data_date: datetime
    """The feed's own date, UTC-aware."""
    count: int
    """Used entries. `count` + skipped + `rejected` = `read`, or the feed was refused."""
    read: int
    model: str = ""
    coverage: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()
    """The first of them in words, and a last line that says how many more there are."""
    rejected: int = 0
    """All of them."""
    flaws: tuple[Reject, ...] = ()
    """As `rejects`."""
    flawed: int = 0
    kev_complete: bool = False


def compile_state(feed: Feed, fresh: Staging) -> Content:
    """Read what was collected for a new state, into its compiled file.

    Raises FeedRejected for documents that are not what they claim to be, for a document kept from
    the state in use that is not what was accepted, and for a reader whose counts do not balance;
    FeedError when the file cannot be written.
    """
    fresh.verify_kept()
    return compile_documents(feed, tuple(fresh.documents), fresh.home / CONTENT_FILE)


def compile_documents(feed: Feed, documents: Sequence[Document], path: Path) -> Content:
    """Read documents into a compiled file at `path`, replacing what is there."""
    path.unlink(missing_ok=True)
    try:
        with Compiler(path) as compiler:
            heading = feed.parse(documents, compiler)
            if not compiler.balanced:
                raise FeedRejected(
                    f"{feed.name}: {compiler.read} entries were read, {compiler.count} used, "
                    f"{compiler.skipped.total()} skipped and {compiler.rejects.count} rejected, "
                    "which does not add up: a fault in the reader of this feed.",
                    hint="report it; the last good copy stays in use",
                )
            compiler.finish(model=heading.model, kev_complete=heading.kev_complete)
    except sqlite3.Error as error:
        raise FeedError(
            f"{feed.name}: {path} cannot be written: {error}.", hint="is the disk full?"
        ) from None
    return Content(
        path=path,
        data_date=heading.data_date,
        count=compiler.count,
        read=compiler.read,
        model=heading.model,
        coverage=heading.coverage,
        skipped=dict(sorted(compiler.skipped.items())),
        rejects=compiler.rejects.listed,
        rejected=compiler.rejects.count,
        flaws=compiler.flaws.listed,
        flawed=compiler.flaws.count,
        kev_complete=heading.kev_complete,
    )


def open_state(path: Path) -> State:
    """Open a compiled file for reading. Raises FeedRejected when it is damaged or of another form.

    Whether it is the file that was accepted is for `snapshots.read_current` to say.
    """
    return State(path)


def epss_frame(state: State) -> "pd.DataFrame":
    """Return all EPSS rows: cve, epss, percentile (NaN where not published); sorted by text."""
    import pandas as pd

    chunks = state.rows("SELECT cves, probability, percentile FROM epss ORDER BY first")
    return pd.DataFrame(
        {
            "cve": pd.Series(names(chunks), dtype="str"),
            "epss": numbers(chunks, 1, "<f8"),
            "percentile": numbers(chunks, 2, "<f8"),
        }
    )


def kev_frame(state: State) -> "pd.DataFrame":
    """Return the catalogue: cve, date_added, due_date (NaT: none), ransomware, name.

    As the catalogue says it today; what stays in force beside it is in `Stored.kept`.
    """
    import pandas as pd

    # Days are stored as Python counts them, from the year 1; pandas counts from 1970.
    query = (
        "SELECT cve, date_added - 719163, due_date - 719163, ransomware IS 1, name FROM kev "
        "ORDER BY cve"
    )
    frame = _frame(state, query, "cve date_added due_date ransomware name")
    for name in ("date_added", "due_date"):
        frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="D").astype(
            "datetime64[s]"
        )
    frame["ransomware"] = frame["ransomware"].astype("bool")
    return frame


def cvss_frame(state: State) -> "pd.DataFrame":
    """Return the chosen assessment per CVE: cve, version, score, source; sorted by text.

    Version and source are categories: a few words over hundreds of thousands of rows.
    """
    import pandas as pd

    chunks = state.rows("SELECT cves, assessment FROM choice ORDER BY first")
    rows = state.rows("SELECT id, version, score, source FROM assessment ORDER BY id")
    ids = pd.Index([row[0] for row in rows], dtype="int64")
    place = ids.get_indexer(pd.Index(numbers(chunks, 1, "<i4"), dtype="int64"))
    return pd.DataFrame(
        {
            "cve": pd.Series(names(chunks), dtype="str"),
            "version": pd.Categorical([row[1] for row in rows]).take(place),
            "score": pd.Series([row[2] for row in rows], dtype="float64").to_numpy()[place],
            "source": pd.Categorical([row[3] for row in rows]).take(place),
        }
    )


def ssvc_frame(state: State) -> "pd.DataFrame":
    """Return CISA's answers: cve, exploitation, automatable, impact_total (NA: not answered)."""
    frame = _frame(
        state,
        "SELECT cve, exploitation, automatable, impact_total FROM ssvc",
        "cve exploitation automatable impact_total",
    )
    return frame.astype({"automatable": "boolean", "impact_total": "boolean"})


def _frame(state: State, query: str, columns: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(state.rows(query), columns=columns.split())
