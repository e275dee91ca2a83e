"""Debian's security tracker: what it knows today of each CVE, source package and release.

Earlier than OSV's conversion of it, and with the reasons: why there is no fix, what was postponed,
what never affected a release. It carries no date, so the document's own time is the feed's.

An entry is one package, CVE and release.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Document, Downloads, Heading, Sink
from wavemend.feeds.reading.deb_releases import (
    DEBIAN_CODENAMES,
    OTHER_RELEASE,
    document_time,
    version_trouble,
)
from wavemend.feeds.reading.documents import CVE_ID, MIB, as_text, first_words, reject
from wavemend.feeds.reading.streams import json_pieces

MOST_BYTES = 1024 * MIB
"""70 MB in 2026."""
_CODENAMES = frozenset(DEBIAN_CODENAMES.values())
_NEVER_AFFECTED = "0"


@dataclass(slots=True)
class _Tally:
    """What the heading says in the end, and which CVEs were described already."""

    fixed: int = 0
    reasons: int = 0
    taken: int = 0
    described: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where an entry stands."""

    document: str
    package: str
    id: str
    summary: str

    @property
    def cves(self) -> tuple[str, ...]:
        """Nothing for `TEMP-…`: an id of Debian's own for what has no CVE yet."""
        return (self.id,) if CVE_ID.fullmatch(self.id) else ()

    def __str__(self) -> str:
        return f"{self.document}: {self.package} {self.id}"


def _packages(document: Document, sink: Sink) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for _, package, issues in json_pieces(document, most=MOST_BYTES):
        if isinstance(package, str) and isinstance(issues, dict):
            yield package, issues
        else:
            sink.entry()
            sink.reject(f"{document.name}: {package}", "not a package with its issues")


def _take_issue(place: _Place, issue: object, sink: Sink, tally: _Tally) -> None:
    releases = issue.get("releases") if isinstance(issue, dict) else None
    if not isinstance(issue, dict) or not isinstance(releases, dict) or not releases:
        sink.entry()
        sink.reject(str(place), "says nothing of any release")
        return
    used = [_take_release(place, release, said, sink, tally) for release, said in releases.items()]
    if any(used) and place.summary and place.cves and place.id not in tally.described:
        tally.described.add(place.id)
        sink.summary(place.id, place.summary)


def _take_release(place: _Place, release: str, said: object, sink: Sink, tally: _Tally) -> bool:
    """Take what is said of one release; say whether it is one of ours and was understood."""
    sink.entry()
    if release not in _CODENAMES:
        sink.skip(OTHER_RELEASE)
        return False
    if not isinstance(said, dict):
        sink.reject(f"{place} in {release}", "not an object")
        return False
    status, fixed, note = _judge(said)
    if status is None:
        sink.reject(f"{place} in {release}", note)
        return False
    urgency = as_text(said.get("urgency")).rstrip("*")
    tally.taken += 1
    tally.fixed += status is AdvisoryStatus.FIXED
    tally.reasons += bool(as_text(said.get("nodsa_reason")))
    sink.used()
    sink.advisory(
        Advisory(
            id=place.id,
            feed="debian-tracker",
            document=str(place),
            release=release,
            package=place.package,
            fixed_version=fixed,
            status=status,
            cves=place.cves,
            summary=place.summary,
            urgency=urgency,
            unimportant=urgency == "unimportant",
            note=note,
        )
    )
    return True


def _judge(said: Mapping[str, Any]) -> tuple[AdvisoryStatus | None, str | None, str]:
    """Return status, fixed version and note; without a status the note says why."""
    kind, fixed = said.get("status"), as_text(said.get("fixed_version"))
    if kind == "resolved":
        if fixed == _NEVER_AFFECTED:
            return AdvisoryStatus.NOT_AFFECTED, None, ""
        trouble = version_trouble(fixed)
        return (None, None, trouble) if trouble else (AdvisoryStatus.FIXED, fixed, "")
    if kind == "undetermined":
        # Nobody has looked yet: it counts as affected until somebody has.
        return AdvisoryStatus.UNFIXED, None, "Debian has not determined whether it is affected"
    if kind != "open":
        return None, None, f"status {kind!r:.30} is not known"
    reason, remark = as_text(said.get("nodsa_reason")), as_text(said.get("nodsa"))
    note = ": ".join(part for part in (reason or (remark and "no DSA"), remark) if part)
    if as_text(said.get("urgency")) == "end-of-life":
        return AdvisoryStatus.WILL_NOT_FIX, None, note or "end of life"
    return (
        AdvisoryStatus.WILL_NOT_FIX if reason == "ignored" else AdvisoryStatus.UNFIXED,
        None,
        note,
    )


@dataclass(frozen=True, slots=True)
class DebianTrackerFeed:
    """The tracker's whole state as one JSON document."""

    name: str = "debian-tracker"
    sources: tuple[str, ...] = ("https://security-tracker.debian.org/tracker/data/json",)
    quiet: timedelta = timedelta(hours=48)

    def download(self, source: str, downloads: Downloads) -> None:
        """Fetch the one document."""
        downloads.get(source, "tracker.json")

    def accepts(self, name: str) -> bool:
        """Say whether a file is the tracker's state; its configuration is not."""
        base = PurePosixPath(name).name
        is_json = base == "json" or base.endswith((".json", ".json.gz", ".json.xz", ".json.bz2"))
        return is_json and "config.json" not in base

    def parse(self, documents: Sequence[Document], sink: Sink) -> Heading:
        """Read the newest document; a folder may hold several days of them."""
        if not documents:
            reject(self.name, "there is no document.")
        newest = max(documents, key=lambda item: (document_time(item), item.name))
        tally = _Tally()
        for package, issues in _packages(newest, sink):
            for identifier, issue in issues.items():
                text = as_text(issue.get("description")) if isinstance(issue, dict) else ""
                place = _Place(
                    document=newest.name, package=package, id=identifier, summary=first_words(text)
                )
                _take_issue(place, issue, sink, tally)
        if not tally.taken:
            reject(newest.name, "says nothing of any Debian release: it is not the tracker's.")
        return Heading(
            data_date=document_time(newest),
            coverage={"fixed_version": tally.fixed, "nodsa_reason": tally.reasons},
        )


FEED = DebianTrackerFeed()
