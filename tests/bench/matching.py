"""How long a fleet's matching takes against Debian's whole OSV set, and whether it grows in line.

The records are made, in the number and with the shares of the real set of 2025-02-12. With
WAVEMEND_BENCH_DATA naming a folder that holds `debian-osv-*.tar.xz`, the real set is read as well.
"""

import gc
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from wavemend.advisories import Advisory, AdvisoryStatus, FeedSnapshot
from wavemend.feeds import Document
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.matching import Matcher
from wavemend.testing.collected import Collected
from wavemend.versions import deb_key

FLEETS = (250, 500, 1000)
PACKAGES = 500
MUCH_SPOKEN_OF = 500
"""Sources with so many CVEs that a host has some of them, not most."""
MOST_SECONDS = 10.0
"""What 1,000 hosts may take."""
SEED = 7
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

RELEASES: Mapping[str, tuple[int, float]] = {
    "bullseye": (33_787, 0.163),
    "bookworm": (33_154, 0.099),
    "trixie": (32_841, 0.048),
}
"""Statements about CVEs, and the share of them without a fix."""

SIZES = ((1, 5957), (2, 1777), (3, 728), (10, 348), (30, 119), (150, 29), (298, 15), (745, 5))
"""How many CVEs the package of each rank has; between two ranks it falls by a power."""
CVES = 33_844


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One run over some hosts."""

    hosts: int
    seconds: float
    """CPU time inside `match`; making the hosts is not counted."""
    findings: int


def bench_matching(say: Callable[[str], None] = print) -> bool:
    """Measure both sets and print the figures; False: 1,000 hosts took longer than they may."""
    fine = _measure(say, "made records", made_intelligence())
    folder = os.environ.get("WAVEMEND_BENCH_DATA", "")
    real = sorted(Path(folder).glob("**/debian-osv-*.tar.xz")) if folder else []
    for path in real[-1:]:
        fine &= _measure(say, path.name, real_intelligence(path))
    if not real:
        say("matching, real records: WAVEMEND_BENCH_DATA names no folder with debian-osv-*.tar.xz")
    return fine


def _measure(say: Callable[[str], None], name: str, known: Intelligence) -> bool:
    statements = sum(len(found) for found in known.advisories.values())
    say(f"matching, {name}: {statements:,} statements, {PACKAGES} packages a host")
    stock = Stock(known)
    runs = [_run(known, stock, hosts) for hosts in FLEETS]
    for run in runs:
        each = run.findings // run.hosts
        say(f"  {run.hosts:5} hosts {run.seconds:7.2f} s  {each:5} findings a host")
    for less, more in pairwise(runs):
        growth = (more.seconds / less.seconds) / (more.hosts / less.hosts)
        say(f"  {more.hosts} hosts against {less.hosts}: {growth:4.2f} times in line (1 is linear)")
    return runs[-1].seconds <= MOST_SECONDS


def _run(known: Intelligence, stock: "Stock", hosts: int) -> Fleet:
    chance = random.Random(SEED)
    gc.collect()
    began = time.process_time()
    matcher = Matcher(known)
    seconds = time.process_time() - began
    findings = 0
    for number in range(hosts):
        host = Host(name=f"host{number}", tenant="acme", address="192.0.2.1")
        facts = stock.facts(host, chance)
        began = time.process_time()
        found = matcher.match(host, facts, today=NOON.date())
        seconds += time.process_time() - began
        findings += len(found.findings)
    return Fleet(hosts=hosts, seconds=seconds, findings=findings)


class Stock:
    """What hosts of each release may have installed, and in which versions."""

    def __init__(self, known: Intelligence) -> None:
        """Sort each release's packages by how much is said of them, with their last versions."""
        self._packages: dict[str, list[str]] = {}
        self._versions: dict[tuple[str, str], list[str]] = {}
        for (release, package), said in known.advisories.items():
            if release not in RELEASES:
                continue
            fixed = {item.fixed_version for item in said if item.fixed_version}
            versions = sorted(fixed or {"1.0-1"}, key=deb_key)[-4:]
            self._packages.setdefault(release, []).append(package)
            self._versions[release, package] = versions
        for release, packages in self._packages.items():
            counts = {package: len(known.advisories[release, package]) for package in packages}
            packages.sort(key=lambda package: (-counts[package], package))

    def facts(self, host: Host, chance: random.Random) -> Facts:
        """Make one host: a kernel, and the builds of some 280 sources, as a server has them."""
        release = chance.choice(sorted(self._packages))
        packages = self._packages[release]
        spoken, others = packages[:MUCH_SPOKEN_OF], packages[MUCH_SPOKEN_OF:]
        sources = [*chance.sample(spoken, 60), *chance.sample(others, 220)]
        installed, pending = [], []
        for source in ["linux", *(item for item in sources if item != "linux")]:
            versions = self._versions[release, source]
            version = chance.choice(versions)
            names = [f"linux-image-{version}"] if source == "linux" else _binaries(source)
            for name in names:
                item = _installed(name, source, version)
                installed.append(item)
                if version != versions[-1]:
                    pending.append(_offer(item, versions[-1]))
        more = PACKAGES - len(installed)
        installed += [_installed(f"other{n}", f"other{n}", "1.0-1") for n in range(more)]
        return _facts(host, release, installed[:PACKAGES], pending)


def _binaries(source: str) -> list[str]:
    """One to three packages, the same ones on every host."""
    return [f"{kind}{source}" for kind in ("lib", "", "dev-")[: 1 + len(source) % 3]]


def _installed(name: str, source: str, version: str) -> InstalledPackage:
    # Strings of its own, as a host's answer has them: equal to, not the same as, the last host's.
    return InstalledPackage(
        name=_copy(name),
        version=_copy(version),
        arch=_copy("amd64"),
        source=_copy(source),
        source_version=_copy(version),
    )


def _copy(text: str) -> str:
    return text.encode().decode()


def _offer(item: InstalledPackage, candidate: str) -> PendingUpdate:
    return PendingUpdate(
        name=item.name,
        arch=item.arch,
        installed=item.version,
        candidate=candidate,
        origin="Debian-Security:12/oldstable-security",
        security=True,
    )


def _facts(
    host: Host,
    release: str,
    installed: Sequence[InstalledPackage],
    pending: Sequence[PendingUpdate],
) -> Facts:
    kernels = [item.version for item in installed if item.source == "linux"]
    kernel = kernels[0] if kernels else ""
    return Facts(
        host=host.name,
        collected_at=NOON,
        os_id="debian",
        os_version="",
        codename=release,
        arch="amd64",
        hostname=host.name,
        machine_id="m",
        boot_id="b",
        uptime_seconds=1.0,
        clock_skew_seconds=0.0,
        running_kernel=kernel,
        newest_kernel=kernel,
        installed=tuple(installed),
        pending=tuple(pending),
        held=(),
        broken=(),
        reboot_reasons=(),
        lock_holder="",
        free_space=(),
    )


def made_intelligence() -> Intelligence:
    """Make as many statements as Debian's, spread over packages as Debian's are."""
    chance = random.Random(SEED)
    said: dict[tuple[str, str], list[Advisory]] = {}
    sizes = list(_sizes())
    for release, (count, unfixed) in RELEASES.items():
        scale = count / sum(sizes)
        for rank, size in enumerate(sizes, 1):
            package = "linux" if rank == 1 else f"package{rank}"
            # Many CVEs share a fixed version: the kernel has 279, half of all packages one.
            versions = [f"{number}.0-1" for number in range(1, 1 + math.ceil(size**0.65))]
            for cve in chance.sample(range(CVES), max(1, round(size * scale))):
                fixed = None if chance.random() < unfixed else chance.choice(versions)
                said.setdefault((release, package), []).append(_made(release, package, cve, fixed))
    return _intelligence(said)


def _sizes() -> Iterator[int]:
    for (low, most), (high, least) in pairwise(SIZES):
        for rank in range(low, high):
            share = (rank - low) / (high - low)
            yield round(most * (least / most) ** share)
    yield from [3] * 746
    yield from [1] * 1492


def _made(release: str, package: str, cve: int, fixed: str | None) -> Advisory:
    name = f"CVE-{2000 + cve % 26}-{1000 + cve}"
    return Advisory(
        id=name,
        feed="debian",
        document=f"{name}.json",
        release=release,
        package=package,
        fixed_version=fixed,
        status=AdvisoryStatus.FIXED if fixed else AdvisoryStatus.UNFIXED,
        cves=(name,),
    )


def real_intelligence(path: Path) -> Intelligence:
    """Read the real set through the feed that reads it for the product."""
    from wavemend.feeds.readers.debian import FEED

    sink = Collected()
    FEED.parse([Document(name=path.name, path=path)], sink)
    said: dict[tuple[str, str], list[Advisory]] = {}
    for advisory in sink.advisories:
        said.setdefault((advisory.release, advisory.package), []).append(advisory)
    return _intelligence(said)


def _intelligence(said: Mapping[tuple[str, str], Sequence[Advisory]]) -> Intelligence:
    snapshot = FeedSnapshot(
        feed="debian", source="", digest="d1", fetched_at=NOON, data_date=NOON, count=1
    )
    return Intelligence(
        vulnerabilities={},
        advisories={key: tuple(said[key]) for key in sorted(said)},
        snapshots=(snapshot,),
    )


if __name__ == "__main__":
    sys.exit(0 if bench_matching() else 1)
