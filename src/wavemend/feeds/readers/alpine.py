"""Alpine's security database: per release and repository, which version of a source fixed what.

It speaks of sources (aports) and of fixes only: a CVE that it does not list is not known to be
fixed, and not known to be open either. It carries no date, so the documents' own time is the
feed's.

An entry is one identifier under one version of one source (a version without any counts as one).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.deb_releases import document_time
from wavemend.feeds.reading.documents import (
    CVE_ID,
    CVE_PATTERN,
    MIB,
    as_list,
    as_object,
    as_text,
    parse_json,
    read_bytes,
    reject,
)
from wavemend.versions import Scheme, apk_key

MOST_BYTES = 64 * MIB
"""One repository of one release: 0.3 MB in 2026."""
RELEASES = (*(f"v3.{number}" for number in range(16, 24)), "edge")
"""Those that are fetched. Alpine lists them on a web page only; a host of a newer release is
unknown, not clean, until it stands here. A folder may hold any of them."""

_RELEASE = re.compile(r"v(?P<number>3\.[0-9]{1,3})")
_IDENTIFIER = re.compile(
    rf"{CVE_PATTERN}|(?:GHSA|XSA|TALOS|ZBX|MOZ|ALPINE|RUSTSEC)-[\w-]+", re.ASCII
)
_NEVER_AFFECTED = "0"
_REPOSITORIES = ("main", "community")
_WITHOUT_COMMUNITY = "alpine-3.2"


@dataclass(slots=True)
class _Reading:
    """What the documents gave so far."""

    sink: Sink
    repositories: dict[str, set[str]] = field(default_factory=dict)
    fixed: int = 0


def _release_of(text: str, where: str) -> str:
    if text == "edge":
        return "alpine-edge"
    found = _RELEASE.fullmatch(text)
    if found is None:
        reject(where, f"is of release {text!r:.30}, which is not one of Alpine's.")
    return f"alpine-{found['number']}"


def _read_document(document: Document, reading: _Reading) -> None:
    where = document.name
    root = as_object(parse_json(read_bytes(document, most=MOST_BYTES), where), where)
    repository = as_text(root.get("reponame"))
    if "packages" not in root or not repository:
        reject(where, "has no packages or no repository's name: it is not Alpine's.")
    release = _release_of(as_text(root.get("distroversion")), where)
    reading.repositories.setdefault(release, set()).add(repository)
    # Of a repository in which nothing was ever fixed, the list is null.
    for item in as_list(root["packages"] or [], f"{where}: packages"):
        package = item.get("pkg") if isinstance(item, dict) else None
        name = as_text(package.get("name")) if isinstance(package, dict) else ""
        fixes = package.get("secfixes") if isinstance(package, dict) else None
        if not name or not isinstance(fixes, dict):
            reading.sink.entry()
            reading.sink.reject(f"{where}: {name or 'a package'}", "names no fixes")
            continue
        for version, said in fixes.items():
            _take(_Fix(where=where, release=release, package=name, version=version), said, reading)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fix:
    """One version of one source that fixed something."""

    where: str
    release: str
    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.where}: {self.package} {self.version}"


def _take(fix: _Fix, said: object, reading: _Reading) -> None:
    sink = reading.sink
    lines = said if isinstance(said, list) else None
    identifiers = list(dict.fromkeys(_identifiers(lines))) if lines else []
    sink.entry(max(1, len(identifiers)))
    if lines is None and said is not None:
        sink.reject(str(fix), "is not a list of what it fixed")
        return
    if not identifiers:
        sink.skip("a version that names nothing it fixed")
        return
    never = fix.version == _NEVER_AFFECTED
    if not never:
        try:
            apk_key(fix.version)
        except ValueError as error:
            for identifier in identifiers:
                sink.reject(f"{fix} {identifier}", str(error))
            return
    for identifier in identifiers:
        sink.used()
        sink.advisory(_advisory(fix, identifier, never=never))
    reading.fixed += 0 if never else len(identifiers)


def _identifiers(lines: Sequence[Any]) -> Iterator[str]:
    """Yield what a version fixed: `CVE-2024-22195 GHSA-h5c8-rqwp-cp95` are two names of one.

    Remarks stand behind names, `CVE-2017-2616 (+ regression fix)`.
    """
    for line in lines:
        found = _IDENTIFIER.findall(as_text(line))
        cves = [name for name in found if CVE_ID.fullmatch(name)]
        yield from cves or found[:1]


def _advisory(fix: _Fix, identifier: str, *, never: bool) -> Advisory:
    return Advisory(
        id=identifier,
        feed="alpine",
        document=str(fix),
        release=fix.release,
        package=fix.package,
        fixed_version=None if never else fix.version,
        status=AdvisoryStatus.NOT_AFFECTED if never else AdvisoryStatus.FIXED,
        cves=(identifier,) if CVE_ID.fullmatch(identifier) else (),
        scheme=Scheme.APK,
    )


@dataclass(frozen=True, slots=True)
class AlpineFeed:
    """One document for each release and repository."""

    name: str = "alpine"
    sources: tuple[str, ...] = ("https://secdb.alpinelinux.org/",)
    quiet: timedelta = timedelta(days=14)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch both repositories of every release."""
        for release in RELEASES:
            for repository in _REPOSITORIES:
                name = f"{release}/{repository}.json"
                downloads.get(f"{source.rstrip('/')}/{name}", name)

    def accepts(self, name: str) -> bool:
        """Say whether a file may be one of the documents: what it holds says which."""
        return name.endswith((".json", ".json.gz", ".json.xz", ".json.bz2"))

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read every document. A release of which one repository is missing refuses the copy."""
        if not documents:
            reject(self.name, "there is no document.")
        reading = _Reading(sink=sink)
        for document in sorted(documents, key=lambda item: item.name):
            _read_document(document, reading)
        for release, found in sorted(reading.repositories.items()):
            lacking = sorted(set(_REPOSITORIES) - found)
            if lacking and release != _WITHOUT_COMMUNITY:
                # Its packages would look clean, not unknown.
                reject(release, f"has no document of the repository {lacking[0]}.")
        if not reading.fixed:
            reject(self.name, "names no fixed version at all.")
        newest = max(document_time(document) for document in documents)
        return Heading(data_date=newest, coverage=_coverage(reading))


def _coverage(reading: _Reading) -> Mapping[str, int]:
    return {"fixed": reading.fixed, "releases": len(reading.repositories)}


FEED = AlpineFeed()
