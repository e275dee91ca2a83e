"""Metasploit: modules that exploit, or look for, a CVE.

An entry is one module of the framework's own metadata, or one line `module:CVE` of a list made from
it. Modules without a CVE are skipped and counted. The reference is the module's full name.

Modules have no day: `disclosure_date` is that of the vulnerability, mostly the day of its fix, and
would make an early exploit of every module that was written from the patch, weeks later.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Any

from wavemend.advisories import Exploit, cve_order
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import CVE_ID, MIB, as_text, day, reject
from wavemend.feeds.reading.streams import json_pieces

MOST_BYTES = 256 * MIB
"""The metadata of 2026 has 10 MB."""
LONGEST_LINE = 4_096
FIRST_YEAR = 1999
"""Of CVE numbers."""

_METADATA = re.compile(r"modules_metadata.*\.json(?:\.(?:gz|xz|bz2))?")
_LIST = re.compile(r".*msf.*\.txt(?:\.(?:gz|xz|bz2))?")
_LINE = re.compile(r"/?([a-z][\w./+-]*?)(?:\.(?:rb|py|go))?:(CVE-[0-9]{4}-[0-9]{4,19})")
_DAY_IN_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KINDS = {"exploits": "exploit", "payloads": "payload", "encoders": "encoder"}
"""The folder of a module in a list, to the kind in its full name."""


@dataclass(slots=True)
class _Reading:
    sink: Sink
    found: dict[str, set[str]] = field(default_factory=dict)
    """Names of modules by CVE."""
    newest: date = date.min


def _read_metadata(document: Document, into: _Reading) -> None:
    """Read `modules_metadata_base.json`: an object per module, by a name of the framework."""
    sink = into.sink
    for _, key, value in json_pieces(document, most=MOST_BYTES):
        sink.entry()
        where = f"{document.name}: {key!s:.80}"
        name = as_text(value.get("fullname")) if isinstance(value, dict) else ""
        if not name:
            sink.reject(where, "is not a module with a full name")
            continue
        into.newest = max(into.newest, day(value.get("mod_time")) or date.min)
        cves, broken = _cves(value)
        if broken:
            sink.flaw(where, f"{broken!r:.60} is not a CVE")
        if not cves:
            sink.skip("module without a CVE")
            continue
        sink.used()
        for cve in cves:
            into.found.setdefault(cve, set()).add(name)


def _cves(module: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the CVEs a module refers to, and the first reference that only looks like one."""
    references = module.get("references")
    texts = [as_text(item) for item in references] if isinstance(references, list) else []
    meant = [text.upper() for text in texts if text.upper().startswith("CVE-")]
    broken = next((text for text in meant if not CVE_ID.fullmatch(text)), "")
    good = {text for text in meant if CVE_ID.fullmatch(text) and _is_real(text)}
    return tuple(sorted(good)), broken


def _is_real(cve: str) -> bool:
    """Say whether a number can be a CVE's: the framework's examples name CVE-1978-1234."""
    return cve_order(cve)[0] >= FIRST_YEAR


def _read_list(document: Document, into: _Reading) -> None:
    """Read lines such as `/exploits/windows/smb/ms17_010.rb:CVE-2017-0143`."""
    sink = into.sink
    newest_cve = 0
    for number, line in enumerate(_lines(document), start=1):
        if not line:
            continue
        sink.entry()
        hit = _LINE.fullmatch(line)
        if hit is None:
            sink.reject(
                f"{document.name}: line {number}", f"{line!r:.60} is not a module and a CVE"
            )
            continue
        if not _is_real(hit[2]):
            sink.skip("placeholder instead of a CVE")
            continue
        sink.used()
        kind, _, rest = hit[1].partition("/")
        newest_cve = max(newest_cve, cve_order(hit[2])[0])
        into.found.setdefault(hit[2], set()).add(f"{_KINDS.get(kind, kind)}/{rest}")
    named = _DAY_IN_NAME.search(PurePosixPath(document.name).name)
    stated = day(named[0]) if named else None
    # A list without a date is at least as new as the year of its newest CVE.
    least = date(newest_cve, 1, 1) if newest_cve else date.min
    into.newest = max(into.newest, stated or least)


def _lines(document: Document) -> Iterator[str]:
    with open_stream(document, most=MOST_BYTES) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace")
        while line := text.readline(LONGEST_LINE):
            yield line.strip()


@dataclass(frozen=True, slots=True)
class MetasploitFeed:
    """The metadata file of the framework's repository."""

    name: str = "metasploit"
    sources: tuple[str, ...] = (
        "https://raw.githubusercontent.com/rapid7/metasploit-framework/master/db/"
        "modules_metadata_base.json",
    )
    quiet: timedelta = timedelta(days=45)
    """A module changes every few days; a list without a date counts from its newest year."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one file."""
        downloads.get(source, "modules_metadata_base.json")

    def accepts(self, name: str) -> bool:
        """Say whether a file of an air-gapped folder is the metadata or a list made from it."""
        file = PurePosixPath(name).name
        return bool(_METADATA.fullmatch(file) or _LIST.fullmatch(file))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read metadata and lists together."""
        into = _Reading(sink=sink)
        for document in sorted(documents, key=lambda item: item.name):
            is_list = _LIST.fullmatch(PurePosixPath(document.name).name)
            (_read_list if is_list else _read_metadata)(document, into)
        if into.newest == date.min:
            reject(self.name, "no document says of which day it is.")
        for cve in sorted(into.found, key=cve_order):
            names = sorted(into.found[cve])
            sink.exploits(cve, tuple(Exploit(kind="metasploit", reference=name) for name in names))
        return Heading(
            data_date=datetime.combine(into.newest, time(), UTC),
            coverage={"references": len(into.found)},
        )


FEED = MetasploitFeed()
