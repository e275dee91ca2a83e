"""endoflife.date: until when operating systems and other products get fixes.

An entry is one release of one product. Three kinds of documents are read, the better ones first:
the API's `products/full`, an archive of the project's product pages, and an archive of its release
data, which a robot fills and which names no end for many releases. A release that a better document
gave is skipped in the others; a release that is supported without an announced end is skipped too.

Release keys are those hosts report (`debian-12`, `rocky-9`, `windows-server-2022`). Of Windows 10
and 11 the key alone (`windows-11-24h2`) has the end for Home and Pro, which is the earlier one; the
other editions have keys of their own (`windows-11-24h2-e`, `…-e-lts`, `…-iot-lts`). What is not an
operating system has `product:<name>-<release>`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wavemend.advisories import Lifecycle
from wavemend.errors import FeedRejected
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.archives import open_tar, tar_members
from wavemend.feeds.reading.documents import MIB, as_text, day, moment, parse_json, reject
from wavemend.feeds.reading.streams import json_pieces

MOST_BYTES = 128 * MIB
"""The API's document has some 10 MB, the archives unpacked 5 MB."""
MOST_MEMBER_BYTES = 4 * MIB

_PACKED = r"(?:\.(?:gz|xz|bz2))?"
_FULL = re.compile(rf"full(?:\.json)?{_PACKED}")
_ARCHIVE = re.compile(rf".*\.(?:tar|tgz){_PACKED}")
_PAGE = re.compile(r"/products/([A-Za-z0-9._-]+)\.md$")
_DATA = re.compile(r"/releases/([A-Za-z0-9._-]+)\.json$")
_FRONT_MATTER = re.compile(rb"\A---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)

_SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "almalinux": "almalinux",
        "alpine-linux": "alpine",
        "amazon-linux": "amzn",
        "centos": "centos",
        "debian": "debian",
        "fedora": "fedora",
        "freebsd": "freebsd",
        "linuxmint": "linuxmint",
        "mageia": "mageia",
        "opensuse": "opensuse-leap",
        "oracle-linux": "ol",
        "rhel": "rhel",
        "rocky-linux": "rocky",
        "sles": "sles",
        "ubuntu": "ubuntu",
    }
)
"""The name of an operating system here, to the `ID` of its `/etc/os-release`."""
_WINDOWS = MappingProxyType(
    {"5-sp3": "xp", "6-sp2": "vista", "7-sp1": "7", "2008-r2-sp1": "2008-r2", "2008-sp2": "2008"}
)
_FREE_EXTENSION = frozenset({"debian"})
"""Whose extended support, here Debian LTS, is for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What is said about an end: a day, or only whether it is past. Both None: nothing."""

    on: date | None = None
    past: bool | None = None
    readable: bool = True

    @property
    def words(self) -> str:
        if self.on is not None:
            return str(self.on)
        return {True: "past", False: "not announced", None: ""}[self.past]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    """One release of one product, in whatever form it was published."""

    product: str
    name: str
    label: str
    fixes: _End
    active: _End
    extended: _End


@dataclass(slots=True)
class _Reading:
    sink: Sink
    seen: set[tuple[str, str]] = field(default_factory=set)
    dates: list[datetime] = field(default_factory=list)
    given: int = 0
    extended: int = 0

    def take(self, release: _Release, where: str) -> None:
        """Count one release in and out, and hand its life cycle on."""
        self.sink.entry()
        key = release.product, release.name
        if key in self.seen:
            self.sink.skip("release that a better document gave already")
            return
        if not release.name or not release.fixes.readable:
            self.sink.reject(where, "has no name or no readable end of support")
            return
        self.seen.add(key)
        reason = _no_end(release)
        if reason:
            self.sink.skip(reason)
            return
        self.sink.used()
        self.given += 1
        self.extended += release.extended.on is not None
        if not (release.extended.readable and release.active.readable):
            self.sink.flaw(where, "another of its ends is not readable")
        self.sink.lifecycle(_lifecycle(release, where))


def _no_end(release: _Release) -> str:
    if release.fixes.on is not None or release.fixes.past:
        return ""
    if release.fixes.past is None:
        return "release without a word about its end"
    return "supported release without an announced end"


def _lifecycle(release: _Release, where: str) -> Lifecycle:
    ends, extended = release.fixes.on, release.extended.on
    if release.product in _FREE_EXTENSION and extended is not None:
        ends, extended = extended, None
    said = [release.label or f"{release.product} {release.name}"]
    for what, end in (("active support", release.active), ("extended support", release.extended)):
        if end.words:
            said.append(f"end of {what}: {end.words}")
    return Lifecycle(
        feed="endoflife",
        document=where,
        release=release_key(release.product, release.name),
        ends=ends,
        ended=ends is None and bool(release.fixes.past),
        paid_ends=extended,
        note="; ".join(said),
    )


def release_key(product: str, cycle: str) -> str:
    """Return the release key of a product's release, as hosts report it."""
    if product == "windows":
        return _windows_key(cycle)
    if product == "windows-server":
        return f"windows-server-{_WINDOWS.get(cycle, re.sub(r'-(?:ac|sac)$', '', cycle))}"
    if product == "opensuse" and cycle.partition(".")[0] in {"11", "12", "13", "42"}:
        return f"opensuse-{cycle}"
    # CentOS Stream reports the same ID as CentOS; of the two releases 8 the key is the older's.
    if product == "centos-stream" and cycle != "8":
        return f"centos-{cycle}"
    if product in _SYSTEMS:
        return f"{_SYSTEMS[product]}-{cycle}"
    return f"product:{product}-{cycle}"


def _windows_key(cycle: str) -> str:
    """`11-24h2-w` is Home and Pro: the plain key, because it ends first."""
    return f"windows-{_WINDOWS.get(cycle, cycle.removesuffix('-w'))}"


def _end(value: object, flag: object = None) -> _End:
    """Read an end: a date, yes or no, or both of them in two fields."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return _End(past=value.lower() == "true")
    past = flag if isinstance(flag, bool) else None
    if value is None or value == "":
        return _End(past=past)
    if isinstance(value, bool):
        return _End(past=value)
    on = day(value)
    return _End(on=on, past=past, readable=on is not None)


def _read_full(document: Document, into: _Reading) -> None:
    """Read the API's document, product by product."""
    generated: datetime | None = None
    for under, key, value in json_pieces(document, most=MOST_BYTES, under="result"):
        if not under:
            generated = moment(value) if key == "generated_at" else generated
            continue
        product = as_text(value.get("name")) if isinstance(value, dict) else ""
        releases = value.get("releases") if isinstance(value, dict) else None
        if not product or not isinstance(releases, list):
            into.sink.entry()
            into.sink.reject(f"{document.name}: product {key}", "has no name or no releases")
            continue
        for item in releases:
            found = item if isinstance(item, dict) else {}
            release = _Release(
                product=product,
                name=as_text(found.get("name")),
                label=as_text(found.get("label")),
                fixes=_end(found.get("eolFrom"), found.get("isEol")),
                active=_end(found.get("eoasFrom"), found.get("isEoas")),
                extended=_end(found.get("eoesFrom"), found.get("isEoes")),
            )
            into.take(release, f"{document.name}: {product} {release.name}")
    if generated is None:
        reject(
            document.name, "is not the API's list of products: it does not say when it was made."
        )
    into.dates.append(generated)


_Reader = Callable[[str, bytes], Sequence[Mapping[str, Any]]]


def _read_archive(
    document: Document, pattern: re.Pattern[str], read: _Reader, into: _Reading
) -> None:
    """Read the files of one kind; one that cannot be read is rejected alone, as one entry."""
    found = False
    for where, body in tar_members(
        document, most=MOST_MEMBER_BYTES, most_total=MOST_BYTES, endings=(".md", ".json")
    ):
        hit = pattern.search(where)
        if hit is None:
            continue
        found = True
        try:
            releases = read(where, body)
        except FeedRejected as error:
            into.sink.entry()
            into.sink.reject(where, error.message)
            continue
        for item in releases:
            name = as_text(item.get("releaseCycle")) or as_text(item.get("name"))
            release = _Release(
                product=hit[1],
                name=name,
                label=_label(item),
                fixes=_end(item.get("eol")),
                active=_end(item.get("eoas")),
                extended=_end(item.get("eoes")),
            )
            into.take(release, f"{where}: {name}")
    if found:
        into.dates.append(_written(document))


def _label(item: Mapping[str, Any]) -> str:
    """Return a release's own label; most have a pattern for all of the product instead."""
    label = as_text(item.get("releaseLabel"))
    return "" if "__" in label else label


def _page(where: str, body: bytes) -> Sequence[Mapping[str, Any]]:
    """Return the releases in the front matter of a product page; every value stays text."""
    hit = _FRONT_MATTER.match(body)
    if hit is None:
        reject(where, "has no front matter.")
    yaml = YAML(typ="base")
    try:
        front = yaml.load(hit[1])
    except (YAMLError, ValueError, RecursionError) as error:
        reject(where, f"is not readable as YAML: {' '.join(str(error).split()):.160}.")
    return _objects(front.get("releases") if isinstance(front, dict) else None, where)


def _data(where: str, body: bytes) -> Sequence[Mapping[str, Any]]:
    root = parse_json(body, where)
    releases = root.get("releases") if isinstance(root, dict) else None
    return _objects(list(releases.values()) if isinstance(releases, dict) else None, where)


def _objects(value: object, where: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        reject(where, "holds no list of releases.")
    return value


def _written(document: Document) -> datetime:
    """Return when the first file of an archive was written: the time of the commit."""
    with open_tar(document, most=MOST_BYTES) as archive:
        first = archive.next()
    try:
        return datetime.fromtimestamp(first.mtime if first else 0, UTC)
    except (OverflowError, ValueError, OSError):
        reject(document.name, "does not say when it was made.")


@dataclass(frozen=True, slots=True)
class EndOfLifeFeed:
    """The API's one document; archives are for folders."""

    name: str = "endoflife"
    sources: tuple[str, ...] = ("https://endoflife.date/api/v1/products/full",)
    quiet: timedelta = timedelta(days=14)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one file."""
        file = PurePosixPath(source).name
        downloads.get(source, file if _ARCHIVE.fullmatch(file) else "full.json")

    def accepts(self, name: str) -> bool:
        """Say whether a file is the API's document or an archive of pages or release data."""
        file = PurePosixPath(name).name
        return bool(_FULL.fullmatch(file) or _ARCHIVE.fullmatch(file))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the API's documents, then pages, then release data."""
        into = _Reading(sink=sink)
        ordered = sorted(documents, key=lambda item: item.name)
        archives = [item for item in ordered if _ARCHIVE.fullmatch(PurePosixPath(item.name).name)]
        for document in ordered:
            if document not in archives:
                _read_full(document, into)
        kinds: tuple[tuple[re.Pattern[str], _Reader], ...] = ((_PAGE, _page), (_DATA, _data))
        for pattern, read in kinds:
            for document in archives:
                _read_archive(document, pattern, read, into)
        if not into.dates:
            reject(self.name, "there is no document with products.")
        return Heading(
            data_date=max(into.dates),
            coverage={"eolFrom": into.given, "eoesFrom": into.extended},
        )


FEED = EndOfLifeFeed()
