"""Writing a compiled feed state: a `Sink` that puts what a feed reads into one SQLite file."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from wavemend.advisories import (
    Advisory,
    Cvss,
    Exploit,
    KevEntry,
    Lifecycle,
    Ssvc,
    choose_cvss,
)
from wavemend.feeds.store.compiled_columns import packed
from wavemend.feeds.store.compiled_counts import Numbers, Row, Said
from wavemend.feeds.store.compiled_schema import (
    BUILDING,
    COUNTED,
    FORMAT,
    INDEXES,
    SCHEMA,
    WAITING,
    clean,
    of_day,
    of_moment,
)

_BATCH = 4_000
"""Rows held back before they are written; at 500 bytes each a few megabytes per kind."""

_ONE_PER_CVE: Mapping[str, int] = {"kev": 5, "ssvc": 5, "published": 2, "summary": 2}
"""Tables with one row per CVE, and how wide the row is."""


class Compiler:
    """Implements `wavemend.feeds.Sink`. Use as a context manager, and call `finish` at the end.

    Memory stays at some tens of megabytes whatever the feed's size. Raises sqlite3.Error when the
    disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.read = 0
        self.count = 0
        self.skipped: Counter[str] = Counter()
        self.rejects = Said()
        self.flaws = Said()
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(BUILDING + SCHEMA + WAITING)
        self._db.execute("BEGIN")
        self._single: dict[str, dict[str, Row]] = {name: {} for name in _ONE_PER_CVE}
        self._cvss: dict[str, tuple[Cvss, ...]] = {}
        self._exploits: dict[str, tuple[Exploit, ...]] = {}
        self._rows: dict[str, list[Row]] = {}
        self._assessments, self._records, self._terms = Numbers(), Numbers(), Numbers()
        self._places: dict[tuple[str, str], int] = {}
        self._lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    @property
    def balanced(self) -> bool:
        """True when every entry that came in went out once."""
        return self.read == self.count + self.skipped.total() + self.rejects.count

    def entry(self, count: int = 1) -> None:
        """Count entries read."""
        self.read += count

    def used(self, count: int = 1) -> None:
        """Count entries taken."""
        self.count += count

    def skip(self, reason: str, count: int = 1) -> None:
        """Count entries that are not for us."""
        self.skipped[clean(reason)] += count

    def reject(self, where: str, reason: str) -> None:
        """Count an entry that cannot be used."""
        self.rejects.add(where, reason)

    def flaw(self, where: str, reason: str) -> None:
        """Count a part of a used entry that cannot be used."""
        self.flaws.add(where, reason)

    def epss(self, rows: Iterable[tuple[str, float, float | None]], *, day: date) -> None:
        """Write EPSS rows."""
        number = day.toordinal()
        left = iter(rows)
        while batch := [(*row, number) for row in islice(left, _BATCH)]:
            self._db.executemany("INSERT OR REPLACE INTO scored VALUES (?, ?, ?, ?)", batch)

    def kev(self, cve: str, entry: KevEntry) -> None:
        """Write a line of the catalogue."""
        row = (
            of_day(entry.date_added),
            of_day(entry.due_date),
            entry.ransomware,
            clean(entry.name),
        )
        self._put("kev", cve, row)

    def ssvc(self, cve: str, answers: Ssvc) -> None:
        """Write the answers for a CVE."""
        row = (
            clean(answers.exploitation),
            answers.automatable,
            answers.impact_total,
            clean(answers.source),
        )
        self._put("ssvc", cve, row)

    def published(self, cve: str, at: datetime) -> None:
        """Write when a CVE was published."""
        self._put("published", cve, (of_moment(at),))

    def summary(self, cve: str, text: str) -> None:
        """Write a CVE's text."""
        self._put("summary", cve, (clean(text),))

    def cvss(self, cve: str, candidates: tuple[Cvss, ...]) -> None:
        """Write the assessments of a CVE, and the one that is chosen among them."""
        self._cvss[clean(cve)] = candidates
        if len(self._cvss) >= _BATCH:
            self._write_cvss()

    def exploits(self, cve: str, evidence: tuple[Exploit, ...]) -> None:
        """Write the evidence for a CVE."""
        self._exploits[clean(cve)] = evidence
        if len(self._exploits) >= _BATCH:
            self._write_exploits()

    def forget(self, cve: str) -> None:
        """Drop what was said of a CVE, written or not yet."""
        key = clean(cve)
        for name, waiting in self._single.items():
            waiting.pop(key, None)
            self._db.execute(f"DELETE FROM {name} WHERE cve = ?", (key,))  # noqa: S608 - our names
        self._cvss.pop(key, None)
        self._exploits.pop(key, None)
        for name in ("cvss", "chosen", "exploit"):
            self._db.execute(f"DELETE FROM {name} WHERE cve = ?", (key,))  # noqa: S608

    def advisory(self, advisory: Advisory) -> None:
        """Write an advisory; what several say alike is written once."""
        terms = (
            advisory.status.value,
            advisory.scheme.value,
            advisory.by_source,
            clean(advisory.arch),
            clean(advisory.module),
            advisory.update_class.value,
            clean(advisory.urgency),
            advisory.unimportant,
            clean(advisory.note),
            advisory.restart,
        )
        number, new = self._terms.of(terms)
        if new:
            self._append("terms", (number, *terms))
        fixed = advisory.fixed_version
        self._lines += 1
        row = (
            self._lines,
            self._place(clean(advisory.release), clean(advisory.package)),
            self._record(advisory),
            number,
            None if fixed is None else clean(fixed),
        )
        self._append("advisory", row)

    def lifecycle(self, lifecycle: Lifecycle) -> None:
        """Write a life cycle."""
        row = (
            None,
            clean(lifecycle.feed),
            clean(lifecycle.document),
            clean(lifecycle.release),
            clean(lifecycle.package),
            of_day(lifecycle.ends),
            lifecycle.ended,
            of_day(lifecycle.paid_ends),
            lifecycle.limited,
            clean(lifecycle.note),
        )
        self._append("lifecycle", row)

    def finish(self, *, model: str, kev_complete: bool) -> None:
        """Write what is left, the indexes and the heading. Afterwards the file is complete."""
        for name in _ONE_PER_CVE:
            self._write_single(name)
        self._write_cvss()
        self._write_exploits()
        for name in list(self._rows):
            self._write_rows(name)
        self._pack("epss", "scored", "ddi")
        self._pack("choice", "chosen", "i")
        self._db.execute("COMMIT")
        self._db.executescript(f"BEGIN; {INDEXES}")
        meta = {
            "format": str(FORMAT),
            "model": clean(model),
            "kev_complete": str(int(kev_complete)),
            **{f"rows {name}": str(self._keys(name)) for name in COUNTED},
        }
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(meta.items()))
        self._db.execute("COMMIT")
        self._db.close()

    def _pack(self, table: str, waiting: str, kinds: str) -> None:
        rows = self._db.execute(f"SELECT * FROM {waiting} ORDER BY cve")  # noqa: S608 - our names
        self._insert(table, len(kinds) + 2, packed(rows, kinds))

    def _keys(self, name: str) -> int:
        key = {"cvss": "DISTINCT cve", "exploit": "DISTINCT cve"}.get(name, "*")
        table = "scored" if name == "epss" else name
        ((count,),) = self._db.execute(f"SELECT COUNT({key}) FROM {table}")  # noqa: S608
        return int(count)

    def _put(self, name: str, cve: str, row: Row) -> None:
        waiting = self._single[name]
        waiting[clean(cve)] = row
        if len(waiting) >= _BATCH:
            self._write_single(name)

    def _write_single(self, name: str) -> None:
        waiting = self._single[name]
        self._insert(name, _ONE_PER_CVE[name], ((cve, *row) for cve, row in waiting.items()))
        waiting.clear()

    def _write_cvss(self) -> None:
        waiting, self._cvss = self._cvss, {}
        keys = [(cve,) for cve in waiting]
        self._db.executemany("DELETE FROM cvss WHERE cve = ?", keys)
        self._db.executemany("DELETE FROM chosen WHERE cve = ?", keys)
        rows: list[Row] = []
        choices: list[Row] = []
        for cve, candidates in waiting.items():
            numbers = [self._assessment(item) for item in candidates]
            rows += [(cve, place, number) for place, number in enumerate(numbers)]
            chosen = choose_cvss(candidates)
            if chosen is not None:
                choices.append((cve, self._assessment(chosen)))
        self._insert("cvss", 3, rows)
        self._insert("chosen", 2, choices)

    def _assessment(self, item: Cvss) -> int:
        row = (
            clean(item.version),
            clean(item.vector),
            item.score,
            item.computed_score,
            clean(item.source),
        )
        number, new = self._assessments.of(row)
        if new:
            self._append("assessment", (number, *row))
        return number

    def _write_exploits(self) -> None:
        waiting, self._exploits = self._exploits, {}
        self._db.executemany("DELETE FROM exploit WHERE cve = ?", [(cve,) for cve in waiting])
        rows = (
            (cve, n, clean(item.kind), clean(item.reference), of_day(item.published))
            for cve, evidence in waiting.items()
            for n, item in enumerate(evidence)
        )
        self._insert("exploit", 5, rows)

    def _record(self, advisory: Advisory) -> int:
        texts = (
            clean(advisory.feed),
            clean(advisory.id),
            clean(advisory.document),
            clean(advisory.summary),
            of_moment(advisory.published),
        )
        number, new = self._records.of((*texts, advisory.cves))
        if new:
            self._append("record", (number, *texts))
            for n, cve in enumerate(advisory.cves):
                self._append("record_cve", (number, n, clean(cve)))
        return number

    def _place(self, release: str, package: str) -> int:
        key = (release, package)
        number = self._places.get(key)
        if number is None:
            number = self._places[key] = len(self._places) + 1
            self._append("place", (number, release, package))
        return number

    def _append(self, name: str, row: Row) -> None:
        rows = self._rows.setdefault(name, [])
        rows.append(row)
        if len(rows) >= _BATCH:
            self._write_rows(name)

    def _write_rows(self, name: str) -> None:
        rows = self._rows[name]
        if rows:
            self._insert(name, len(rows[0]), rows)
            rows.clear()

    def _insert(self, table: str, width: int, rows: Iterable[Row]) -> None:
        marks = ", ".join("?" * width)
        self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608
