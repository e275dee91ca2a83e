"""The reference host's facts and the vendor's statements about it, as stored in cases/golden."""

import csv
import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.unit.test_findings import facts
from wavemend.advisories import Advisory, AdvisoryStatus, FeedSnapshot
from wavemend.feeds import Document
from wavemend.feeds.readers.debian import FEED
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.testing.collected import Collected
from wavemend.versions import deb_key, without_binary_rebuild

GOLDEN = Path(__file__).parents[1] / "cases" / "golden"
REFERENCE = Host(name="reference", tenant="acme", address="192.0.2.1")
SCANNED = datetime(2026, 11, 20, 12, tzinfo=UTC)
RELEASE = "bookworm"
OSV_DAY = "2025-02-12"
KERNEL = "6.1.0-48-amd64"
"""Made: the reference host is a container and runs no kernel of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source package with a pending update that names CVEs."""

    name: str
    binary: str
    """One of its installed packages."""
    installed: str
    candidate: str
    changelog: frozenset[str]
    """CVEs in the changelog, from the candidate down to the installed version, by position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One CVE of the golden set."""

    cve: str
    package: str
    fixed: str
    fields: Mapping[str, str]
    """The whole row: scores, catalogue, ranks."""


def golden_rows() -> tuple[Row, ...]:
    """Read the golden CVEs."""
    with (GOLDEN / "golden_debian12_cves_a.csv").open(newline="", encoding="utf-8") as lines:
        return tuple(
            Row(cve=row["cve"], package=row["source_package"], fixed=row["fixed_in"], fields=row)
            for row in csv.DictReader(lines)
        )


def golden_collected() -> Collected:
    """Read the excerpt of Debian's OSV set through the feed that reads it for the product."""
    path = GOLDEN / "osv-excerpt.zip"
    sink = Collected()
    FEED.parse([Document(name=path.name, path=path)], sink)
    return sink


def golden_intelligence(*more: Advisory) -> Intelligence:
    """Return what the excerpt says, without a compiled store; `more` is added to it."""
    said: dict[tuple[str, str], list[Advisory]] = {}
    for advisory in (*golden_collected().advisories, *more):
        said.setdefault((advisory.release, advisory.package), []).append(advisory)
    day = datetime.fromisoformat(OSV_DAY).replace(tzinfo=UTC)
    snapshot = FeedSnapshot(
        feed="debian", source="", digest="golden", fetched_at=day, data_date=day, count=len(said)
    )
    return Intelligence(
        vulnerabilities={},
        advisories={key: tuple(said[key]) for key in sorted(said)},
        snapshots=(snapshot,),
    )


def statement_of(row: Row) -> Advisory:
    """Make the statement a later OSV set would hold of a golden CVE: for tests of what follows."""
    return Advisory(
        id=row.cve,
        feed="debian",
        document=f"{row.cve}.json",
        release=RELEASE,
        package=row.package,
        fixed_version=row.fixed,
        status=AdvisoryStatus.FIXED,
        cves=(row.cve,),
    )


def golden_sources() -> tuple[Source, ...]:
    """Read the pending updates, put together by source package."""
    found: dict[str, Source] = {}
    for entry in _stored("pending_updates_debian12_2026-11-20.json.xz"):
        name = entry["src"]
        known = found.get(name)
        cves = frozenset(entry["cves"]) | (known.changelog if known else frozenset())
        found[name] = Source(
            name=name,
            binary=entry["pkg"],
            installed=without_binary_rebuild(entry["installed"]),
            candidate=without_binary_rebuild(entry["candidate"]),
            changelog=cves,
        )
    return tuple(found[name] for name in sorted(found))


def changelog_cves(source: str, above: str) -> frozenset[str]:
    """Return the CVEs a source's stored changelog names before it comes to a version.

    By position: an entry further down is older, whatever its number sorts like.
    """
    named: set[str] = set()
    for entry in _stored("debian12_changelog_cves_2026-11-20.json.xz"):
        if entry["src"] == source:
            if deb_key(entry["entry"]) <= deb_key(above):
                break  # newest first: what follows was there before
            named |= set(entry["cves"])
    return frozenset(named)


def reference_facts(sources: Sequence[Source]) -> Facts:
    """Return the reference host, with a running kernel instead of the headers alone."""
    installed, pending = [], []
    for source in sources:
        kernel = source.name == "linux"
        name = f"linux-image-{KERNEL}" if kernel else source.binary
        installed.append(
            InstalledPackage(
                name=name,
                version=source.installed,
                arch="amd64",
                source=source.name,
                source_version=source.installed,
            )
        )
        pending.append(
            PendingUpdate(
                name=name,
                arch="amd64",
                installed=source.installed,
                candidate=source.candidate,
                origin="Debian-Security:12/oldstable-security",
                security=True,
            )
        )
    return replace(facts(*installed, pending=tuple(pending), kernel=KERNEL), collected_at=SCANNED)


def upgradable() -> tuple[InstalledPackage, ...]:
    """Read every package the reference host could upgrade; its list names no sources."""
    rows = (GOLDEN / "apt_list_upgradable_2026-11-20.txt").read_text(encoding="utf-8").splitlines()
    fields = [row.split() for row in rows]
    return tuple(
        InstalledPackage(name=name, version=old, arch=arch, source="", source_version="")
        for name, _, _, arch, old in fields
    )


def _stored(name: str) -> list[dict[str, Any]]:
    text = lzma.decompress((GOLDEN / name).read_bytes())
    entries: list[dict[str, Any]] = json.loads(text)
    return entries
