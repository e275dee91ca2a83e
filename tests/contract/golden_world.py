"""The golden CVEs' real excerpts as a folder of feeds, and the whole path from it to a priority."""

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tests.contract.golden import GOLDEN, KERNEL, REFERENCE, SCANNED, Row, golden_rows
from tests.unit.test_findings import facts, package
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.refresh import FeedResult, RefreshConfig, refresh
from wavemend.findings import Finding
from wavemend.hosts import Facts
from wavemend.knowledge import Intelligence
from wavemend.matching import Matcher
from wavemend.policy.risk_profiles import risk_profile
from wavemend.scoring import Lane, Priority, prioritise

EXCERPTS = GOLDEN / "feeds"
ROWS = golden_rows()
PROFILE = risk_profile("bod-26-04")
VENDOR = "debian"
"""What Debian itself said on 2025-02-12; the other feed of fixes here is made, see the README."""
FEEDS = ("cve", VENDOR, "debian-tracker", "epss", "kev", "metasploit", "nuclei", "nvd")

V3, V4_WINTER, V4, V5 = "2025-02-15", "2026-01-30", "2026-06-13", "2026-06-20"
MODELS = {
    V3: "v2023.03.01",
    V4_WINTER: "v2025.03.14",
    V4: "v2025.03.14",
    V5: "v2026.06.15",
}
FIRST_KEV, LAST_KEV = "2025-08-25", "2026-08-07"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One folder of feeds and the cache they are refreshed into."""

    folder: Path
    cache: Path

    def bring(self, feed: str, *files: Path) -> None:
        """Put documents into a feed's folder, in the place of those that were there."""
        place = self.folder / feed
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file in files:
            copied = Path(shutil.copy(file, place))
            # The tracker's file carries no date of its own: its time is the feed's, and must not
            # be that of a checkout.
            os.utime(copied, (SCANNED.timestamp(), SCANNED.timestamp()))

    def refresh(self, *feeds: str) -> tuple[FeedResult, ...]:
        return refresh(RefreshConfig(directory=self.folder, feeds=feeds), self.cache, SCANNED)

    def load(self, *feeds: str) -> Intelligence:
        return load_intelligence(self.cache, SCANNED, feeds=feeds or FEEDS)


def epss_table(day: str) -> Path:
    return EXCERPTS / "epss" / f"epss_scores-{day}.csv"


def catalogue(day: str) -> Path:
    return EXCERPTS / "kev" / f"{day}.json"


def made_world(base: Path, *, epss: str = V5, kev: str = LAST_KEV) -> World:
    world = World(folder=base / "in", cache=base / "cache")
    world.bring(VENDOR, GOLDEN / "osv-excerpt.zip")
    world.bring("epss", epss_table(epss))
    world.bring("kev", catalogue(kev))
    for feed in ("cve", "debian-tracker", "metasploit", "nuclei", "nvd"):
        world.bring(feed, *sorted((EXCERPTS / feed).iterdir()))
    return world


def host_facts(row: Row, version: str = "") -> Facts:
    """Return a host that lacks the golden CVE's fix, or has the named version."""
    # Debian fixed glibc earlier than the golden row says: below that row's version it is whole.
    below = {"CVE-2023-4911": "2.36-9+deb12u3~"}.get(row.cve, f"{row.fixed}~")
    version = version or row.fields["installed_here"] or below
    name = f"linux-image-{KERNEL}" if row.package == "linux" else row.package
    return facts(package(name, version, row.package, version), kernel=KERNEL)


def lacking(row: Row, known: Intelligence, version: str = "") -> Finding | None:
    """Return the golden CVE's finding on such a host; None: it lacks nothing."""
    seen = host_facts(row, version)
    found = Matcher(known).match(REFERENCE, seen, today=SCANNED.date())
    about = [item for item in found.findings if item.cve == row.cve]
    assert len(about) < 2
    return about[0] if about else None


def judged(row: Row, known: Intelligence, *, exposed: bool) -> Priority:
    """Return what is decided about the golden CVE on such a host."""
    finding = lacking(row, known)
    assert finding is not None
    host = replace(REFERENCE, exposed=exposed)
    vulnerability = known.vulnerability(row.cve)
    return prioritise(finding, host, vulnerability, SCANNED, profile=PROFILE)


def decisions(
    known: Intelligence, rows: Sequence[Row] = ROWS
) -> dict[tuple[str, bool], tuple[Lane, datetime | None, bool]]:
    return {
        (row.cve, exposed): (priority.lane, priority.due, priority.forensic)
        for row in rows
        for exposed in (True, False)
        for priority in (judged(row, known, exposed=exposed),)
    }


def column_of(day: str, column: str) -> dict[str, float]:
    """Read one column of an EPSS excerpt by CVE, without any code of the product."""
    lines = epss_table(day).read_text(encoding="ascii").splitlines()
    return {row["cve"]: float(row[column]) for row in csv.DictReader(lines[1:])}
