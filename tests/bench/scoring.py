"""Read, join and score a full day of EPSS, KEV and 280,000 CVEs, against bare pandas doing less.

Bare pandas reads the same files and joins them; it checks nothing and ranks nothing. Ours reads
them with every check of the feeds, joins, scores and sorts. `measure()` gives the ratio of the
medians of alternating runs in one process; the acceptance is 2.
"""

import gzip
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wavemend.feeds import Document
from wavemend.feeds.readers import epss
from wavemend.feeds.readers.kev import read_catalogue
from wavemend.scoring.bulk import score_all

SCORED = 360_000
ASSESSED = 280_000
KNOWN_EXPLOITED = 1_662
"""Entries of the catalogue of 2026-08-07."""
ALTERNATIONS = 7
SEED = 20_261_120


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One day's documents in their published layouts, and the CVEs' scores as a table."""

    epss: Path
    kev: Path
    cves: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Medians in seconds."""

    plain: float
    """Bare pandas: read and join."""
    ours: float
    read: float
    """Of ours: reading with all checks."""
    score: float
    """Of ours: join, score, sort."""

    @property
    def ratio(self) -> float:
        """Ours by plain."""
        return self.ours / self.plain


def measure(alternations: int = ALTERNATIONS) -> Result:
    """Generate the files, and time both ways in turn."""
    with tempfile.TemporaryDirectory() as folder:
        files = generate(Path(folder))
        plain(files)  # imports, and the file cache
        ours(files)
        runs = [(_seconds(lambda: plain(files)), *ours(files)) for _ in range(alternations)]
    bare, read, score = (statistics.median(column) for column in zip(*runs, strict=True))
    both = statistics.median(read + score for _, read, score in runs)
    return Result(plain=bare, ours=both, read=read, score=score)


def plain(files: Files) -> pd.DataFrame:
    """Read and join as a notebook would."""
    scores = pd.read_csv(files.epss, skiprows=1)
    with files.kev.open(encoding="utf-8") as file:
        listed = pd.DataFrame(json.load(file)["vulnerabilities"]).rename(columns={"cveID": "cve"})
    cves = pd.read_csv(files.cves)
    # A left join, which is cheaper than the outer one that ours makes.
    return cves.merge(scores, on="cve", how="left").merge(listed, on="cve", how="left")


def ours(files: Files) -> tuple[float, float]:
    """Read as the feeds do, and score; return the seconds of both."""
    begin = time.perf_counter()
    scores = epss.read_frame(epss.open_table(Document(name=files.epss.name, path=files.epss)))
    catalogue = read_catalogue(Document(name=files.kev.name, path=files.kev))
    listed = pd.DataFrame(
        [(cve, entry.ransomware is True) for cve, entry in catalogue.entries.items()],
        columns=["cve", "ransomware"],
    )
    cves = pd.read_csv(files.cves, dtype={"automatable": "boolean", "impact_total": "boolean"})
    read = time.perf_counter()
    ranked = score_all(scores, listed, cves, cves, exposed=True)
    assert len(ranked) >= SCORED
    return read - begin, time.perf_counter() - read


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def generate(folder: Path) -> Files:
    """Write the three files, the same ones every time."""
    chance = random.Random(SEED)
    names = _names(chance)
    files = Files(
        epss=folder / "epss_scores-2026-11-20.csv.gz",
        kev=folder / "known_exploited_vulnerabilities.json",
        cves=folder / "cves.csv",
    )
    rows = ["#model_version:v2026.06.15,score_date:2026-11-20T12:55:00Z", "cve,epss,percentile"]
    # Skewed as the real table: the median is near 0.007, one in a hundred is above a half.
    rows += [f"{name},{chance.betavariate(0.35, 12):.5f},{chance.random():.5f}" for name in names]
    files.epss.write_bytes(gzip.compress("\n".join([*rows, ""]).encode(), mtime=0))
    listed = chance.sample(names, KNOWN_EXPLOITED)
    files.kev.write_text(json.dumps(_catalogue(chance, listed)), encoding="utf-8")
    lines = ["cve,version,score,automatable,impact_total"]
    for name in sorted(chance.sample(names, ASSESSED)):
        score = f"{chance.randint(10, 100) / 10:.1f}" if chance.random() < 0.9 else ""
        answers = ("", "True", "False")
        lines.append(f"{name},3.1,{score},{chance.choice(answers)},{chance.choice(answers)}")
    files.cves.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return files


def _names(chance: random.Random) -> list[str]:
    years = range(1999, 2027)
    found = {
        f"CVE-{year}-{number:04d}"
        for year in years
        for number in chance.sample(range(1, 100_000), SCORED // len(years) + 1)
    }
    return sorted(found)[:SCORED]


def _catalogue(chance: random.Random, listed: list[str]) -> dict[str, object]:
    entries = [
        {
            "cveID": name,
            "vendorProject": "Vendor",
            "product": "Product",
            "vulnerabilityName": "Vendor Product Command Injection Vulnerability",
            "dateAdded": "2026-01-02",
            "shortDescription": "Vendor Product contains a command injection vulnerability. " * 3,
            "requiredAction": "Apply mitigations per vendor instructions.",
            "dueDate": "2026-01-16",
            "knownRansomwareCampaignUse": chance.choice(["Known", "Unknown"]),
            "notes": "https://example.org/advisory ; https://example.org/more",
            "cwes": ["CWE-78"],
        }
        for name in sorted(listed)
    ]
    return {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": "2026.11.20",
        "dateReleased": "2026-11-20T15:00:00.0000Z",
        "count": len(entries),
        "vulnerabilities": entries,
    }


def main() -> None:
    """Print one line with the ratio, and where the time goes."""
    result = measure()
    print(
        f"read, join and score {SCORED:,} CVEs: ours {result.ours * 1e3:.0f} ms "
        f"(read {result.read * 1e3:.0f}, score {result.score * 1e3:.0f}), "
        f"bare pandas {result.plain * 1e3:.0f} ms, ratio {result.ratio:.2f}"
    )


if __name__ == "__main__":
    main()
