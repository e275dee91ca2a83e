"""`updateinfo.xml` of the RPM repositories a fleet has enabled: the vendor's truth on the host.

It is found through each repository's `repomd.xml` and believed only with the size and checksum
named there. An entry is one package row of one advisory; an advisory without rows is one entry.

The operator names the repositories: `almalinux-9=https://…/9/BaseOS/x86_64/os rocky-8=https://…`,
or a folder with `<release>/…/repodata/repomd.xml`. The word before `=`, or the folder, is the
release as hosts report it: id and version of their os-release.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from wavemend.advisories import UpdateClass
from wavemend.errors import FeedError
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.documents import CVE_ID, MIB, first_words, reject
from wavemend.feeds.reading.modules_yaml import streams_by_build
from wavemend.feeds.reading.nevra import (
    NO_PACKAGE,
    Build,
    Notice,
    Rows,
    class_of,
    evr_of,
    severity_word,
    stamp,
    streams_named,
)
from wavemend.feeds.reading.repomd import (
    Contents,
    Part,
    elements,
    local_name,
    mismatch,
    read_repomd,
    text_of,
)

MOST_BYTES = 1024 * MIB
"""Unpacked. The whole history of an Enterprise Linux 8 repository has about 100 MB."""

_REPOMD = "repodata/repomd.xml"
_RELEASE = re.compile(r"[a-z][a-z0-9_.-]*-[0-9][a-z0-9_.-]*|[a-z][a-z0-9_]*-tumbleweed")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*-(19|20)[0-9]{2}[:-][A-Za-z0-9._:-]+")
"""`ALSA-2022:4940`, `FEDORA-EPEL-2024-0a1b2c`, `openSUSE-SLE-15.5-2023-1234`, `ALAS2-2023-17`."""
_ODD_NAME = re.compile(r"[^A-Za-z0-9._-]")
_KINDS = ("updateinfo", "modules")
_ENDINGS = tuple(
    f"{stem}{packing}"
    for stem in ("updateinfo.xml", "modules.yaml")
    for packing in ("", ".gz", ".xz", ".bz2", ".zst")
)

RETRACTED = "an advisory its vendor took back"
NO_UPDATEINFO = "a repository without updateinfo: nothing is said of its packages"
UNNAMED = "a file no repomd.xml names: of an older state of the repository"


@dataclass(slots=True)
class _Repository:
    """One repository while it is read."""

    release: str
    home: str
    """Folder of the repository inside the snapshot, with a slash at the end."""
    contents: Contents
    documents: Mapping[str, Document]
    sink: Sink
    _streams: Mapping[str, str] | None = None

    def document(self, kind: str) -> Document | None:
        """Return a file of the repository, verified; None: it has no such file."""
        part = self.contents.parts.get(kind)
        if part is None:
            return None
        found = self.documents.get(self.home + part.href)
        if found is None:
            reject(f"{self.home}{part.href}", f"is missing, and {_REPOMD} names it.")
        if why := mismatch(found, part):
            reject(found.name, f"{why}: damaged, or of another state of the mirror.")
        return found

    def stream(self, nevra: str) -> str:
        """Return the module stream of a build; empty: `modules.yaml` does not name it."""
        if self._streams is None:  # read only where an advisory needs it
            document = self.document("modules")
            self._streams = streams_by_build(document, self.sink) if document else {}
        return self._streams.get(nevra, "")


def _read_update(
    update: Element, repository: _Repository, where: str, coverage: Counter[str]
) -> datetime | None:
    """Read one advisory into the sink. Returns when it was issued."""
    sink = repository.sink
    rows = list(_package_rows(update))
    entries = max(len(rows), 1)
    sink.entry(entries)
    identifier = text_of(update, "id")
    if not _ID.fullmatch(identifier):
        for _ in range(entries):
            sink.reject(where, f"an advisory whose id is in no known form: {identifier!r:.80}")
        return None
    if update.get("status") == "retracted":
        sink.skip(RETRACTED, entries)
        return None
    notice = _notice(update, identifier, where, sink)
    if not rows:
        sink.skip(NO_PACKAGE)
        return notice.published
    title = text_of(update, "title")
    taken = Rows(notice, sink, coverage)
    for package, module in rows:
        evr = evr_of(
            package.get("epoch") or "", package.get("version") or "", package.get("release") or ""
        )
        build = Build(name=package.get("name") or "", evr=evr, arch=package.get("arch") or "")
        if not build.name:
            sink.reject(f"{where}: {identifier}", "a package row without a name")
            continue
        modules = (module,) if module else _modules_of(build, package, title, repository)
        taken.take(build, release=repository.release, modules=modules)
    return notice.published


def _package_rows(update: Element) -> list[tuple[Element, str]]:
    """Return the package rows, each with the module stream its collection or itself names."""
    found: list[tuple[Element, str]] = []
    for collection in update.iter():
        if local_name(collection) != "collection":
            continue
        outer = _own_module(collection)
        found += [
            (row, _own_module(row) or outer) for row in collection if local_name(row) == "package"
        ]
    return found


def _own_module(element: Element) -> str:
    for child in element:
        name, stream = child.get("name"), child.get("stream")
        if local_name(child) == "module" and name and stream:
            return f"{name}:{stream}"
    return ""


def _modules_of(
    build: Build, package: Element, title: str, repository: _Repository
) -> tuple[str, ...]:
    """Return the streams of a modular build by `modules.yaml`, else by the advisory's title."""
    if not build.modular:
        return ()
    version, release = package.get("version"), package.get("release")
    epoch = package.get("epoch") or "0"
    stream = repository.stream(f"{build.name}-{epoch}:{version}-{release}.{build.arch}")
    return (stream,) if stream else streams_named(title)


def _notice(update: Element, identifier: str, where: str, sink: Sink) -> Notice:
    cves = _cves(update)
    word = update.get("type", "")
    update_class = class_of(word)
    if update_class is None:
        # Fail closed: what names CVEs is a security fix whatever else it is called.
        update_class = UpdateClass.SECURITY if cves else UpdateClass.BUGFIX
        sink.flaw(f"{where}: {identifier}", f"an unknown type of update: {word!r:.40}")
    return Notice(
        feed="rpm",
        id=identifier,
        document=where,
        cves=cves,
        update_class=update_class,
        summary=first_words(text_of(update, "title") or text_of(update, "summary")),
        urgency=severity_word(text_of(update, "severity")),
        published=_date(update, "issued") or _date(update, "updated"),
    )


def _cves(update: Element) -> tuple[str, ...]:
    """Return the CVEs among the references, each once, in the vendor's order."""
    named = (
        reference.get("id") or reference.get("title") or ""
        for reference in update.iter()
        if local_name(reference) == "reference" and reference.get("type") == "cve"
    )
    return tuple(dict.fromkeys(cve for cve in named if CVE_ID.fullmatch(cve)))


def _date(update: Element, name: str) -> datetime | None:
    found = next((child for child in update if local_name(child) == name), None)
    return stamp(found.get("date")) if found is not None else None


def _release_of(home: str) -> str:
    """Return the release a repository's folder is named after."""
    first = PurePosixPath(home).parts[:1]
    if not first or not _RELEASE.fullmatch(first[0]):
        reject(
            f"{home}{_REPOMD}",
            "lies in no folder named after the hosts' release, for instance almalinux-9.",
        )
    return first[0]


def _repositories(documents: Sequence[Document], sink: Sink) -> list[_Repository]:
    """Return the repositories among the documents; files none of them names are counted."""
    by_name = {document.name: document for document in documents}
    found: list[_Repository] = []
    named: set[str] = set()
    for name in sorted(by_name):
        if name != _REPOMD and not name.endswith(f"/{_REPOMD}"):
            continue
        home = name.removesuffix(_REPOMD)
        contents = read_repomd(by_name[name])
        found.append(_Repository(_release_of(home), home, contents, by_name, sink))
        named.update({name, *(home + part.href for part in contents.parts.values())})
    left = len(by_name.keys() - named)
    if left:
        sink.entry(left)
        sink.skip(UNNAMED, left)
    return found


def _data_date(newest: Mapping[str, datetime]) -> datetime:
    """Return the feed's own date: the release that stood still the longest.

    Inside a release the newest repository counts: some get nothing new for months.
    """
    if not newest:
        reject("rpm", "no repository says when it was made, and no advisory has a date.")
    return min(newest.values())


@dataclass(frozen=True, slots=True)
class UpdateinfoFeed:
    """Advisories out of the repositories themselves. There is no default: name the repositories."""

    name: str = "rpm"
    sources: tuple[str, ...] = ()
    quiet: timedelta = timedelta(days=21)
    """Enterprise distributions publish every week; around the holidays not for two."""

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch `repomd.xml` of each repository, and what it names of advisories and modules.

        Raises FeedError for a source that is not a list of `RELEASE=URL`.
        """
        homes: set[str] = set()
        for release, url in named_repositories(source):
            home = _home(release, url)
            if home in homes:
                raise FeedError(f"the repository {url} is named twice for {release}.")
            homes.add(home)
            contents = read_repomd(downloads.get(f"{url}/{_REPOMD}", home + _REPOMD))
            for kind in _KINDS:
                if (part := contents.parts.get(kind)) is not None:
                    _fetch(f"{url}/{part.href}", home + part.href, part, downloads)

    def accepts(self, name: str) -> bool:
        """Say whether a file is a repository's table of contents, its advisories or its modules."""
        path = PurePosixPath(name)
        if path.parent.name != "repodata":
            return False
        return path.name == "repomd.xml" or path.name.endswith(_ENDINGS)

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the advisories of every repository; all of them verify, or the feed is refused."""
        coverage: Counter[str] = Counter()
        newest: dict[str, datetime] = {}
        read = 0
        for repository in _repositories(documents, sink):
            dates = [repository.contents.made] if repository.contents.made else []
            document = repository.document("updateinfo")
            if document is None:
                sink.entry()
                sink.skip(NO_UPDATEINFO)
                continue
            read += 1
            repository.document("modules")  # refused when damaged, also where nothing needs it
            for update in elements(document, root="updates", name="update", most=MOST_BYTES):
                issued = _read_update(update, repository, document.name, coverage)
                # The repository's own date is the better one: an advisory's may be years ahead.
                dates += [issued] if issued and not repository.contents.made else []
            if dates:
                newest[repository.release] = max(*dates, newest.get(repository.release, dates[0]))
        if not read:
            reject("rpm", "no repository in it has an updateinfo: nothing is known of any package.")
        return Heading(data_date=_data_date(newest), coverage=coverage)


def named_repositories(source: str) -> list[tuple[str, str]]:
    """Return release and address of each repository named in a source.

    Raises FeedError, naming the word, for anything that is not `RELEASE=URL`.
    """
    found: list[tuple[str, str]] = []
    for word in source.split():
        release, equals, url = word.partition("=")
        if not equals or not _RELEASE.fullmatch(release) or not urlsplit(url).netloc:
            raise FeedError(
                f"feed rpm: {word!r:.160} does not name a repository.",
                hint="write RELEASE=URL with spaces between, for instance "
                "almalinux-9=https://mirror.example/almalinux/9/BaseOS/x86_64/os",
            )
        found.append((release, url.rstrip("/").removesuffix(f"/{_REPOMD}")))
    if not found:
        raise FeedError(
            "feed rpm names no repository.",
            hint="name those your hosts have enabled: RELEASE=URL with spaces between",
        )
    return found


def _home(release: str, url: str) -> str:
    """Return the folder a repository is kept in: its release, its host, its path."""
    parts = urlsplit(url)
    words = [parts.netloc, *parts.path.split("/"), parts.query]
    kept = [_ODD_NAME.sub("_", word) for word in words if word.strip(".")]
    return "/".join((release, *kept)) + "/"


def _fetch(url: str, name: str, part: Part, downloads: Downloads) -> None:
    """Fetch one file of a repository; one that does not verify is asked for once more, afresh."""
    if mismatch(downloads.get(url, name), part):
        # A cache between may still hold the file of the state before.
        found = downloads.get(url, name, fresh=True)
        if why := mismatch(found, part):
            reject(url, f"{why}: damaged, or the mirror is being updated.")


FEED = UpdateinfoFeed()
