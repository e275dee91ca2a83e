"""Nuclei: templates that test from outside whether a machine has a CVE.

An entry is one template, of the template repository (an archive of it) or of the list of the
project's API, or one line of a table derived from them. Templates without a CVE are skipped and
counted. The tags `kev` and `vkev` say that CISA, or VulnCheck, know of exploitation: they become
evidence of their own, `nuclei-kev` and `nuclei-vkev`.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wavemend.advisories import Exploit, cve_order
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.archives import open_stream, open_tar, tar_members
from wavemend.feeds.reading.documents import CVE_ID, MIB, as_text, day, reject
from wavemend.feeds.reading.streams import json_pieces

MOST_BYTES = 512 * MIB
"""Unpacked. The repository of 2026 has some 100 MB."""
MOST_TEMPLATE_BYTES = 4 * MIB

_PACKED = r"(?:\.(?:gz|xz|bz2))?"
_ARCHIVE = re.compile(rf".*\.(?:tar|tgz){_PACKED}")
_LIST = re.compile(rf"(?:public|early)\.json{_PACKED}")
_TABLE = re.compile(rf"nuclei.*\.csv{_PACKED}")
_DAY_IN_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEMPLATE = re.compile(r"^id:", re.MULTILINE)
_NEXT_PART = re.compile(r"^(?!id:|info:|#)[A-Za-z]", re.MULTILINE)
"""What follows the description of a template: requests, of no use here and 90 % of the text."""
_TAGS = ("kev", "vkev")
_WORDS = re.compile(r"[,\s]+")


@dataclass(slots=True)
class _Reading:
    sink: Sink
    found: dict[str, dict[tuple[str, str], date | None]] = field(default_factory=dict)
    newest: date = date.min
    tagged: int = 0

    def template(
        self, name: str, cves: Iterable[str], tags: Iterable[str], created: date | None
    ) -> None:
        """Count one template in and out, and keep what it says."""
        self.sink.entry()
        meant = sorted({cve.upper() for cve in (name, *cves) if CVE_ID.fullmatch(cve.upper())})
        if not meant:
            self.sink.skip("template without a CVE")
            return
        self.sink.used()
        marks = [f"nuclei-{tag}" for tag in _TAGS if tag in tags]
        self.tagged += bool(marks)
        for cve in meant:
            known = self.found.setdefault(cve, {})
            for kind in ("nuclei", *marks):
                # A tag may come later than the template it stands in.
                published = created if kind == "nuclei" else None
                known[kind, name] = published or known.get((kind, name))

    def least_date(self, cves: Iterable[str], stated: date | None) -> None:
        """Take a document's day; without one it is at least of the year of its newest CVE."""
        newest = max((cve_order(cve)[0] for cve in cves), default=0)
        self.newest = max(self.newest, stated or (date(newest, 1, 1) if newest else date.min))


def _read_archive(document: Document, into: _Reading) -> None:
    yaml = YAML(typ="base")
    yaml.allow_duplicate_keys = True
    members = tar_members(
        document, most=MOST_TEMPLATE_BYTES, most_total=MOST_BYTES, endings=(".yaml",)
    )
    for where, body in members:
        text = body.decode("utf-8", "replace")
        if not _TEMPLATE.search(text):
            continue  # settings of the project itself: not a template
        end = _NEXT_PART.search(text)
        _take_header(yaml, text[: end.start()] if end else text, where, into)
    into.least_date(into.found, _commit_day(document))


def _take_header(yaml: YAML, text: str, where: str, into: _Reading) -> None:
    """Read the description of one template; a broken one is rejected alone."""
    if "cve-" not in text.lower():
        into.template("", (), (), None)
        return
    try:
        header = yaml.load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        into.sink.entry()
        into.sink.reject(where, f"is not readable as YAML: {' '.join(str(error).split()):.160}")
        return
    root = header if isinstance(header, dict) else {}
    info = root.get("info")
    _take_described(as_text(root.get("id")), info if isinstance(info, dict) else {}, None, into)


def _take_described(
    name: str, info: Mapping[str, Any], created: date | None, into: _Reading
) -> None:
    about = info.get("classification")
    cves = _texts(about.get("cve-id")) if isinstance(about, dict) else ()
    into.template(name, cves, _texts(info.get("tags")), created)


def _texts(value: object) -> tuple[str, ...]:
    """Return words, whether they stand in a list or in one text with commas."""
    texts = value if isinstance(value, list) else [value]
    return tuple(word for text in texts for word in _WORDS.split(as_text(text)) if word)


def _commit_day(document: Document) -> date | None:
    """Return the day on which the first file of an archive was written: that of the commit."""
    with open_tar(document, most=MOST_BYTES) as archive:
        first = archive.next()
    try:
        written = datetime.fromtimestamp(first.mtime if first else 0, UTC).date()
    except (OverflowError, ValueError, OSError):
        return None
    return written if written.year > 2000 else None


def _read_list(document: Document, into: _Reading) -> None:
    """Read the API's list, which says when each template was made."""
    for _, number, value in json_pieces(document, most=MOST_BYTES):
        name = as_text(value.get("id")) if isinstance(value, dict) else ""
        if not name:
            into.sink.entry()
            into.sink.reject(f"{document.name}: template {number}", "has no id")
            continue
        into.newest = max(into.newest, day(value.get("updated_at")) or date.min)
        _take_described(name, value, day(value.get("created_at")), into)


def _read_table(document: Document, into: _Reading) -> None:
    """Read a table with a CVE and its tags per line."""
    cves: list[str] = []
    with open_stream(document, most=MOST_BYTES) as file:
        for number, row in enumerate(_rows(file, document.name), start=2):
            cve = row.get("cve") or ""
            if not CVE_ID.fullmatch(cve):
                into.sink.entry()
                into.sink.reject(f"{document.name}: line {number}", f"{cve!r:.40} is not a CVE")
                continue
            cves.append(cve)
            tags = [tag for tag in _TAGS if (row.get(f"tag_{tag}") or "").lower() == "true"]
            into.template(cve, (), tags, None)
    named = _DAY_IN_NAME.search(PurePosixPath(document.name).name)
    into.least_date(cves, day(named[0]) if named else None)


def _rows(file: BinaryIO, where: str) -> Iterator[dict[str, str]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        table = csv.DictReader(text, strict=True)
        if "cve" not in (table.fieldnames or ()):
            reject(where, "is not a table of templates: it has no column cve.")
        yield from table
    except (csv.Error, UnicodeDecodeError) as error:
        reject(where, f"is not a whole CSV table: {error}.")


@dataclass(frozen=True, slots=True)
class NucleiFeed:
    """The template repository, as the archive of its main branch."""

    name: str = "nuclei"
    sources: tuple[str, ...] = (
        "https://github.com/projectdiscovery/nuclei-templates/archive/refs/heads/main.tar.gz",
    )
    quiet: timedelta = timedelta(days=30)
    """It changes daily; a table without a date counts from the year of its newest CVE."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one file."""
        downloads.get(source, "public.json" if source.endswith(".json") else "templates.tar.gz")

    def accepts(self, name: str) -> bool:
        """Say whether a file is an archive of templates, the API's list, or a table."""
        file = PurePosixPath(name).name
        return any(kind.fullmatch(file) for kind in (_ARCHIVE, _LIST, _TABLE))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read archives, lists and tables together."""
        into = _Reading(sink=sink)
        for document in sorted(documents, key=lambda item: item.name):
            file = PurePosixPath(document.name).name
            if _ARCHIVE.fullmatch(file):
                _read_archive(document, into)
            elif _LIST.fullmatch(file):
                _read_list(document, into)
            else:
                _read_table(document, into)
        if into.newest == date.min:
            reject(self.name, "no document says of which day it is.")
        for cve in sorted(into.found, key=cve_order):
            known = into.found[cve]
            sink.exploits(
                cve,
                tuple(
                    Exploit(kind=kind, reference=name, published=known[kind, name])
                    for kind, name in sorted(known)
                ),
            )
        return Heading(
            data_date=datetime.combine(into.newest, time(), UTC),
            coverage={"cve-id": len(into.found), "tags": into.tagged},
        )


FEED = NucleiFeed()
