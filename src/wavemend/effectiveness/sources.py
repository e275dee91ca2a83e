"""Read a history from documents: EPSS tables, KEV catalogues, NVD and CVE records.

Documents go through the feeds' own readers, so that a replay sees what a decision would have.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from wavemend.advisories import DEFAULT_CVSS_ORDER, CvssOrder
from wavemend.cve_numbers import cve_numbers
from wavemend.effectiveness.assembling import Assessments, Catalogue, assemble
from wavemend.effectiveness.history import (
    EXPLOITATION,
    NEVER,
    NO,
    UNANSWERED,
    YES,
    Codes,
    EpssTable,
    Floats,
    History,
    Ints,
    Numbers,
    pack_table,
)
from wavemend.errors import FeedError
from wavemend.feeds import FEEDS, Document
from wavemend.feeds.readers.epss import open_table, read_frame
from wavemend.feeds.readers.kev import read_catalogue
from wavemend.feeds.store.compiled import (
    State,
    compile_documents,
    cvss_frame,
    open_state,
    ssvc_frame,
)
from wavemend.feeds.store.snapshots import read_current
from wavemend.feeds.store.snapshots_history import history as remembered

ASSESSING_FEEDS = ("nvd", "cve")
"""Feeds that give CVSS, SSVC and days of publication; of equal answers the first one's counts."""
_TICKS_A_DAY = 86_400_000_000
_FIRST_DAY = date(1970, 1, 1).toordinal()
_PLACES = 100
"""More versions, or kinds of source, than any order of choice names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Documents to replay. Of each kind that is empty the accepted copies in the cache count."""

    epss: tuple[Path, ...] = ()
    kev: tuple[Path, ...] = ()
    nvd: tuple[Path, ...] = ()
    cve: tuple[Path, ...] = ()


def read_history(files: Files, cache_dir: Path) -> History:
    """Read everything. Raises FeedRejected for a document that is not what it claims to be."""
    sources: list[str] = []
    tables = []
    for document in _documents(files.epss, cache_dir, "epss"):
        table, said = _epss(document)
        tables.append(table)
        sources.append(said)
    catalogues = []
    for document in _documents(files.kev, cache_dir, "kev"):
        catalogue, said = _kev(document)
        catalogues.append(catalogue)
        sources.append(said)
    assessments = []
    for feed, paths in zip(ASSESSING_FEEDS, (files.nvd, files.cve), strict=True):
        with _state(feed, paths, cache_dir) as (state, day):
            if state is not None:
                part = _assessments(feed, state, day)
                assessments.append(part)
                sources.append(_said(part))
    return assemble(
        sorted(tables, key=lambda item: item.day),
        sorted(catalogues, key=lambda item: item.day),
        assessments,
        sources=sources,
    )


def _documents(paths: Sequence[Path], cache_dir: Path, feed: str) -> list[Document]:
    if not paths:
        return [document for _, document in remembered(cache_dir, feed)]
    return [_document(path) for path in paths]


def _document(path: Path) -> Document:
    if not path.is_file():
        raise FeedError(f"{path} is not a file.", hint="name the documents one by one")
    return Document(name=path.name, path=path)


def _epss(document: Document) -> tuple[EpssTable, str]:
    table = open_table(document)
    frame = read_frame(table)
    packed = pack_table(
        table.day, table.model, cve_numbers(frame["cve"]), frame["epss"].to_numpy(np.float64)
    )
    return packed, f"EPSS {table.model} of {table.day}: {len(frame):,} CVEs"


def _kev(document: Document) -> tuple[Catalogue, str]:
    found = read_catalogue(document)
    day = found.released.date()
    said = f"KEV catalogue of {day}: {len(found.entries):,} entries"
    if found.rejects:
        said += f", {len(found.rejects)} more could not be read"
    return Catalogue(day=day.toordinal(), entries=found.entries), said


@contextmanager
def _state(feed: str, paths: Sequence[Path], cache_dir: Path) -> Iterator[tuple[State | None, int]]:
    """Open the compiled form of some files, or of the accepted copy in the cache."""
    if not paths:
        stored = read_current(cache_dir, feed)
        at = stored.snapshot.data_date if stored else None
        state = open_state(stored.compiled) if stored and at else None
        yield state, at.toordinal() if at else NEVER
        if state is not None:
            state.close()
        return
    with tempfile.TemporaryDirectory(prefix="wavemend-replay-") as folder:
        documents = [_document(path) for path in paths]
        content = compile_documents(FEEDS[feed](), documents, Path(folder) / "content.sqlite")
        state = open_state(content.path)
        yield state, content.data_date.toordinal()
        state.close()


def _assessments(feed: str, state: State, day: int) -> Assessments:
    cvss, ssvc = cvss_frame(state), ssvc_frame(state)
    dated = pd.DataFrame(state.rows("SELECT cve, at FROM published"), columns=["cve", "at"])
    keys = [cve_numbers(frame["cve"]) for frame in (cvss, ssvc, dated)]
    numbers = np.unique(np.concatenate(keys))
    at = [np.searchsorted(numbers, key) for key in keys]
    size = len(numbers)
    published: Ints = np.full(size, NEVER, dtype=np.int32)
    published[at[2]] = dated["at"].to_numpy(np.int64) // _TICKS_A_DAY + _FIRST_DAY
    score: Floats = np.full(size, np.nan)
    score[at[0]] = cvss["score"].to_numpy(np.float64)
    place: Ints = np.full(size, NEVER, dtype=np.int32)
    place[at[0]] = cvss_places(cvss)
    words = ssvc["exploitation"].str.casefold()
    return Assessments(
        feed=feed,
        day=day,
        numbers=numbers,
        published=published,
        cvss=score,
        cvss_place=place,
        automatable=_column(size, at[1], _answer(ssvc["automatable"])),
        impact_total=_column(size, at[1], _answer(ssvc["impact_total"])),
        exploitation=_column(
            size, at[1], np.select([words == word for word in EXPLOITATION], [0, 1, 2], 0)
        ),
    )


def _column(size: int, at: Numbers, values: "Ints | Numbers") -> Codes:
    column = np.zeros(size, dtype=np.int8)
    column[at] = values
    return column


def _answer(column: "pd.Series[bool]") -> Numbers:
    yes, no = column.eq(True).fillna(False), column.eq(False).fillna(False)  # noqa: FBT003
    return np.select([yes.to_numpy(bool), no.to_numpy(bool)], [YES, NO], UNANSWERED)


def cvss_places(frame: pd.DataFrame, order: CvssOrder = DEFAULT_CVSS_ORDER) -> Ints:
    """Return the rank of each chosen assessment by the order of `choose_cvss`, 0 the best."""
    tiers = {version: tier for tier, names in enumerate(order.versions) for version in names}
    ranks = {name: rank for rank, name in enumerate(order.sources)}
    source = frame["source"].astype("str").str.split(":", n=1).str[0]
    tier = frame["version"].astype("str").map(tiers).fillna(len(order.versions))
    rank = source.map(ranks).fillna(len(ranks))
    first, second = (tier, rank) if order.first == "version" else (rank, tier)
    newest = 10 * (9.9 - pd.to_numeric(frame["version"].astype("str")))
    place = (first * _PLACES + second) * _PLACES + newest
    return place.to_numpy(np.int32)


def _said(part: Assessments) -> str:
    scored = int((~np.isnan(part.cvss)).sum())
    answered = int(((part.automatable > 0) | (part.impact_total > 0)).sum())
    return (
        f"{part.feed} of {date.fromordinal(part.day)}: {len(part.numbers):,} CVEs, {scored:,} "
        f"with a CVSS score, {answered:,} with SSVC answers"
    )
