"""Until when Debian and Ubuntu releases, and single packages in Debian, get security fixes.

Two plain sources that Debian itself keeps: distro-info's tables of releases (`debian.csv`,
`ubuntu.csv`) and the lists of the package debian-security-support, of source packages whose
support ended early or is limited. None carries a date of its own: the documents' times are it.

An entry is one row of a table or one line of a list. Names in the lists may end in `.*`, meaning
every source package that begins so; they are handed on as they stand.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath

from wavemend.advisories import Lifecycle
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.deb_releases import DEBIAN_CODENAMES, document_time
from wavemend.feeds.reading.documents import MIB, day, read_bytes, reject

MOST_BYTES = 4 * MIB
_ENDED = re.compile(r"security-support-ended\.deb([0-9]+)")
_LIMITED = re.compile(r"security-support-limited(?:\.deb([0-9]+))?")
_ENDED_LISTS = tuple(f"security-support-ended.deb{number}" for number in ("10", "11", "12"))
"""The lists that exist. A release gets one when its first package loses support."""
_TABLES = ("debian.csv", "ubuntu.csv")
_ENDED_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\d{4}-\d{2}-\d{2})(?:\s+(.*))?")


@dataclass(slots=True)
class _Tally:
    """How many entries carry which field."""

    releases: int = 0
    ended: int = 0
    limited: int = 0


def _lines(document: Document) -> Iterator[tuple[str, str]]:
    """Yield each line that says something, with its place."""
    text = read_bytes(document, most=MOST_BYTES).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield f"{document.name}: line {number}", line.strip()


def read_ended(document: Document, release: str, sink: Sink) -> int:
    """Read a list of packages whose support ended before their release's; return how many."""
    taken = 0
    for where, line in _lines(document):
        sink.entry()
        match = _ENDED_LINE.fullmatch(line)
        ends = day(match[3]) if match else None
        if match is None or ends is None:
            sink.reject(where, f"not a package, a version and a date: {line:.60}")
            continue
        package, version, _, text = match.groups()
        last = "no version" if version == "0" else f"the last supported version is {version}"
        taken += 1
        sink.used()
        sink.lifecycle(
            Lifecycle(
                feed="debian-support",
                document=where,
                release=release,
                package=package,
                ends=ends,
                note="; ".join(part for part in (last, (text or "").strip()) if part),
            )
        )
    return taken


def read_limited(document: Document, releases: Sequence[str], sink: Sink) -> int:
    """Read the list of packages that are supported for some uses only; return how many."""
    taken = 0
    for where, line in _lines(document):
        sink.entry()
        package, _, text = line.partition(" ")
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.*-]*", package):
            sink.reject(where, f"not a package: {line:.60}")
            continue
        taken += 1
        sink.used()
        for release in releases:
            sink.lifecycle(
                Lifecycle(
                    feed="debian-support",
                    document=where,
                    release=release,
                    package=package,
                    ends=None,
                    limited=True,
                    note=text.strip(),
                )
            )
    return taken


def read_table(document: Document, sink: Sink) -> int:
    """Read one of distro-info's tables; return how many releases it dates.

    Raises FeedRejected for a table without the columns that carry the meaning.
    """
    text = read_bytes(document, most=MOST_BYTES).decode("utf-8", "replace")
    reader = csv.DictReader(io.StringIO(text), restkey="rest", restval="")
    missing = {"version", "series", "release", "eol"} - set(reader.fieldnames or ())
    if missing:
        reject(document.name, f"is not a table of releases: it lacks {', '.join(sorted(missing))}.")
    is_ubuntu = _base(document.name).startswith("ubuntu")
    taken = 0
    for row in reader:
        where = f"{document.name}: line {reader.line_num}"
        sink.entry()
        if "rest" in row or not row["series"]:
            sink.reject(where, "has no series, or more columns than the head")
        elif not row["eol"]:
            sink.skip("release without an end of support")
        else:
            taken += _take_release(row, where, sink, is_ubuntu=is_ubuntu)
    return taken


def _take_release(row: Mapping[str, str], where: str, sink: Sink, *, is_ubuntu: bool) -> bool:
    days = {name: day(text) for name, text in row.items() if name.startswith("eol") and text}
    wrong = sorted(name for name, found in days.items() if found is None)
    if wrong:
        sink.reject(where, f"{wrong[0]} is not a date: {row[wrong[0]]:.20}")
        return False
    dates = {name: found for name, found in days.items() if found is not None}
    lifecycle = _ubuntu(row, where, dates) if is_ubuntu else _debian(row, where, dates)
    sink.used()
    sink.lifecycle(lifecycle)
    return True


def _debian(row: Mapping[str, str], where: str, dates: Mapping[str, date]) -> Lifecycle:
    """Debian's LTS is free for everybody; ELTS is Freexian's, for who pays."""
    free, paid = dates.get("eol-lts", dates["eol"]), dates.get("eol-elts")
    said = [f"Debian's security team until {dates['eol']}"]
    if "eol-lts" in dates:
        said.append(f"LTS, for fewer architectures and packages, until {free}")
    if paid:
        said.append(f"ELTS, paid, until {paid}")
    return _release(row, where, free, paid, said)


def _ubuntu(row: Mapping[str, str], where: str, dates: Mapping[str, date]) -> Lifecycle:
    """Ubuntu's ESM and the legacy years after it come with Ubuntu Pro.

    Before 2012 servers were supported longer than desktops; the later day counts, both are said.
    """
    free = max(dates["eol"], dates.get("eol-server", dates["eol"]))
    esm, legacy = dates.get("eol-esm"), dates.get("eol-legacy")
    said = [f"standard support until {dates['eol']}"]
    if free != dates["eol"]:
        said.append(f"servers until {free}")
    if esm:
        said.append(f"ESM, with Ubuntu Pro, until {esm}")
    if legacy:
        said.append(f"Legacy add-on, paid, until {legacy}")
    return _release(row, where, free, legacy or esm, said)


def _release(
    row: Mapping[str, str], where: str, free: date, paid: date | None, said: Sequence[str]
) -> Lifecycle:
    return Lifecycle(
        feed="debian-support",
        document=where,
        release=row["series"],
        ends=free,
        paid_ends=paid,
        note="; ".join(said),
    )


def _base(name: str) -> str:
    return PurePosixPath(name).name


@dataclass(frozen=True, slots=True)
class DebianSupportFeed:
    """The tables and lists, from Debian's own repositories of them."""

    name: str = "debian-support"
    sources: tuple[str, ...] = ("https://salsa.debian.org/debian",)
    """Below it `distro-info-data` and `debian-security-support`, laid out as on Debian's server."""
    quiet: timedelta = timedelta(days=365)
    """The lists change a few times a year."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the tables, the list of limits, and one list of ended support per release."""
        root = source.rstrip("/")
        for name in _TABLES:
            downloads.get(f"{root}/distro-info-data/-/raw/main/{name}", name)
        for name in ("security-support-limited", *_ENDED_LISTS):
            downloads.get(f"{root}/debian-security-support/-/raw/master/{name}", name)

    def accepts(self, name: str) -> bool:
        """Say whether a file is one of the tables or lists."""
        base = _base(name)
        return base in _TABLES or bool(_ENDED.fullmatch(base) or _LIMITED.fullmatch(base))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every table and list."""
        if not documents:
            reject(self.name, "there is no document.")
        tally = _Tally()
        ordered = sorted(documents, key=lambda item: item.name)
        # The list of limits names no release: it is shipped with, and speaks of, the same
        # releases as the lists of ended support beside it.
        beside = [match[1] for item in ordered if (match := _ENDED.fullmatch(_base(item.name)))]
        for document in ordered:
            self._read(document, beside or list(DEBIAN_CODENAMES), sink, tally)
        if not (tally.releases or tally.ended or tally.limited):
            reject(self.name, "no table and no list says anything.")
        return Heading(
            data_date=max(document_time(item) for item in ordered),
            coverage={
                "release": tally.releases,
                "support-ended": tally.ended,
                "support-limited": tally.limited,
            },
        )

    def _read(self, document: Document, beside: Sequence[str], sink: Sink, tally: _Tally) -> None:
        base = _base(document.name)
        if base in _TABLES:
            tally.releases += read_table(document, sink)
        elif ended := _ENDED.fullmatch(base):
            tally.ended += read_ended(document, _codename(ended[1]), sink)
        elif limited := _LIMITED.fullmatch(base):
            numbers = (limited[1],) if limited[1] else beside
            releases = [_codename(number) for number in numbers]
            tally.limited += read_limited(document, releases, sink)
        else:
            raise FeedRejected(f"{document.name}: is no table or list that this feed reads.")


def _codename(number: str) -> str:
    """Return what hosts report; for a release we have no name for that is `debian-9`."""
    return DEBIAN_CODENAMES.get(number, f"debian-{number}")


FEED = DebianSupportFeed()
