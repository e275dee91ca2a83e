"""What the store of feed states costs at full size: compiling, refreshing for nothing, reading.

For `tests/bench/__main__.py`: `refresh_unchanged()` makes documents of the real sizes, refreshes
the default feeds once (that compiles them) and then again with nothing changed; the acceptance is
one second. `read_join_score()` reads EPSS, KEV and the scores of 280,000 CVEs from compiled
states, joins and ranks them, against bare pandas that reads the same day's files and joins them;
the acceptance is twice its time. Both take their files from a seed: the same ones every time.
"""

import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from tests.bench import scoring
from tests.bench.scoring import ALTERNATIONS, ASSESSED, SEED, Files
from wavemend.feeds import DEFAULT_FEEDS
from wavemend.feeds.intelligence import load_intelligence
from wavemend.feeds.refresh import FeedStatus, RefreshConfig, refresh
from wavemend.feeds.store.compiled import (
    State,
    cvss_frame,
    epss_frame,
    kev_frame,
    open_state,
    ssvc_frame,
)
from wavemend.feeds.store.snapshots import read_current
from wavemend.scoring.bulk import score_all

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECORDS = 44_181
"""Files of Debian's dump of 2025-02-12."""
_RELEASES = ("Debian:11", "Debian:12", "Debian:13")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """Seconds and megabytes of the default feeds at full size; each figure of a fresh process."""

    first: float
    """Everything copied, parsed and compiled."""
    peak: float
    """Largest resident size of the process that did it."""
    unchanged: float
    """Everything looked at and found the same; the median of three."""
    load: float
    """Opening all feeds."""
    load_growth: float
    """What that added to the process."""
    documents: float
    compiled: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Medians in seconds."""

    plain: float
    ours: float

    @property
    def ratio(self) -> float:
        """Ours by plain."""
        return self.ours / self.plain


def refresh_unchanged() -> Refreshed:
    """Refresh the default feeds twice from a folder of the real size."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "from", Path(name) / "cache"
        _documents(folder)
        first, peak = _child("refresh", folder, cache, FeedStatus.REFRESHED)
        later = [_child("refresh", folder, cache, FeedStatus.UNCHANGED)[0] for _ in range(3)]
        load, growth = _child("load", folder, cache, FeedStatus.UNCHANGED)
        return Refreshed(
            first=first,
            peak=peak,
            unchanged=statistics.median(later),
            load=load,
            load_growth=growth,
            documents=_megabytes(folder.glob("*/*")),
            compiled=_megabytes(cache.glob("*/*/content.sqlite")),
        )


def _child(what: str, folder: Path, cache: Path, wanted: FeedStatus) -> tuple[float, float]:
    """Do one thing in a process of its own: digests a process has verified it remembers."""
    argv = [sys.executable, "-m", "tests.bench.feeds", what, str(folder), str(cache), wanted.value]
    run = subprocess.run(argv, capture_output=True, text=True, check=True)
    seconds, megabytes = run.stdout.split()
    return float(seconds), float(megabytes)


def _in_child(what: str, folder: Path, cache: Path, wanted: str) -> None:
    if what == "load":
        before = _resident_now()
        begin = time.perf_counter()
        known = load_intelligence(cache, NOW)
        print(time.perf_counter() - begin, _resident_now() - before)
        assert len(known.snapshots) == len(DEFAULT_FEEDS)
        return
    begin = time.perf_counter()
    results = refresh(RefreshConfig(directory=folder, feeds=DEFAULT_FEEDS), cache, NOW)
    print(time.perf_counter() - begin, _peak())
    assert {item.status.value for item in results} == {wanted}, [item.reason for item in results]


def _peak() -> float:
    """Return this process's own peak in MiB. Not ru_maxrss: it survives fork and exec."""
    status = Path("/proc/self/status").read_text()
    return next(
        int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")
    )


def _resident_now() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def read_join_score(alternations: int = ALTERNATIONS) -> Read:
    """Time reading, joining and ranking in turn with bare pandas."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "from", Path(name) / "cache"
        files = _documents(folder, debian=False)
        refresh(RefreshConfig(directory=folder, feeds=("epss", "kev", "nvd")), cache, NOW)
        states = [_open(cache, feed) for feed in ("epss", "kev", "nvd")]
        scoring.plain(files)  # imports, and the file cache
        _ours(*states)
        runs = [
            (_seconds(lambda: scoring.plain(files)), _seconds(lambda: _ours(*states)))
            for _ in range(alternations)
        ]
    plain, ours = (statistics.median(column) for column in zip(*runs, strict=True))
    return Read(plain=plain, ours=ours)


def _ours(epss: State, kev: State, nvd: State) -> pd.DataFrame:
    ranked = score_all(
        epss_frame(epss), kev_frame(kev), cvss_frame(nvd), ssvc_frame(nvd), exposed=True
    )
    assert len(ranked) >= scoring.SCORED
    return ranked


def _open(cache: Path, feed: str) -> State:
    stored = read_current(cache, feed)
    assert stored is not None
    return open_state(stored.compiled)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _megabytes(paths: Iterator[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def _documents(folder: Path, *, debian: bool = True) -> Files:
    """Write one folder per feed; return the day's files for the plain way."""
    for name in DEFAULT_FEEDS:
        (folder / name).mkdir(parents=True)
    made = scoring.generate(folder)
    files = Files(
        epss=made.epss.rename(folder / "epss" / made.epss.name),
        kev=made.kev.rename(folder / "kev" / made.kev.name),
        cves=made.cves,
    )
    cves = pd.read_csv(files.cves)
    _nvd(folder / "nvd" / "nvdcve-2.0-2026.json.gz", cves)
    if debian:
        _debian(folder / "debian" / "all.zip", cves["cve"].iloc[:RECORDS].tolist())
    return files


def _nvd(path: Path, cves: pd.DataFrame) -> None:
    """Write the CVEs in the form of NVD's files, with the parts we read of a record."""
    head: dict[str, object] = {
        "resultsPerPage": ASSESSED,
        "startIndex": 0,
        "totalResults": ASSESSED,
    }
    head |= {"format": "NVD_CVE", "version": "2.0", "timestamp": "2026-11-20T10:00:00.000"}
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "vulnerabilities": [\n')
        for number, row in enumerate(cves.itertuples(index=False)):
            record = {"cve": _record(str(row.cve), number, row.score)}
            file.write((",\n" if number else "") + json.dumps(record))
        file.write("]}\n")


def _record(cve: str, number: int, score: object) -> dict[str, object]:
    impacts = "HLN"
    letters = [impacts[number // 3**place % 3] for place in range(3)]
    vector = "CVSS:3.1/AV:{}/AC:L/PR:{}/UI:N/S:U/C:{}/I:{}/A:{}".format(
        "NALP"[number % 4], "NLH"[number % 3], *letters
    )
    metric = {
        "source": "nvd@nist.gov",
        "type": "Primary",
        "cvssData": {"version": "3.1", "vectorString": vector, "baseScore": score},
    }
    return {
        "id": cve,
        "sourceIdentifier": "cve@mitre.org",
        "published": "2026-01-02T03:04:05.678",
        "lastModified": "2026-11-19T03:04:05.678",
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "en", "value": f"Record {number}: {'a sentence of it. ' * 20}"}],
        "metrics": {"cvssMetricV31": [metric]} if score == score else {},  # noqa: PLR0124 - NaN
    }


def _debian(path: Path, cves: list[str]) -> None:
    """Write a dump of OSV records in the real number, each about three releases."""
    chance = random.Random(SEED)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, cve in enumerate(cves):
            package = f"source{int(chance.paretovariate(0.6)) % 9_444}"
            affected = [
                {
                    "package": {"ecosystem": release, "name": package},
                    "ranges": [{"type": "ECOSYSTEM", "events": _events(chance)}],
                    "ecosystem_specific": {"urgency": "not yet assigned"},
                }
                for release in _RELEASES
            ]
            record = {
                "id": cve,
                "modified": "2026-11-19T03:04:05Z",
                "published": "2026-01-02T03:04:05Z",
                "details": f"Record {number}: {'a sentence of it. ' * 20}",
                "affected": affected,
            }
            archive.writestr(f"{cve}.json", json.dumps(record))


def _events(chance: random.Random) -> list[dict[str, str]]:
    fixed = [{"fixed": f"{chance.randint(1, 20)}.{chance.randint(0, 99)}-1"}]
    return [{"introduced": "0"}, *(fixed if chance.random() < 0.9 else [])]


def main() -> None:
    """Print both, a line each."""
    store = refresh_unchanged()
    print(
        f"refresh the default feeds, {store.documents:.0f} MB: first {store.first:.1f} s "
        f"({store.compiled:.0f} MB compiled, peak {store.peak:.0f} MiB), nothing changed "
        f"{store.unchanged:.2f} s, opened in {store.load * 1e3:.0f} ms, {store.load_growth:.0f} MiB"
    )
    read = read_join_score()
    print(
        f"read compiled, join and score {scoring.SCORED:,} CVEs: {read.ours * 1e3:.0f} ms, "
        f"bare pandas {read.plain * 1e3:.0f} ms, ratio {read.ratio:.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        _in_child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        main()
