"""Equal inputs give the same order to the byte, whatever the hash seed, the locale and the zone."""

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.test_scoring_bulk import sample
from wavemend.advisories import Cvss, Exploit, UpdateClass, Vulnerability
from wavemend.documents import to_document
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.policy.risk_profiles import PROFILE_NAMES, risk_profile
from wavemend.policy.waivers import Waiver
from wavemend.scoring import Priority, prioritise
from wavemend.scoring.bulk import score_all
from wavemend.selectors import parse_selector

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORLDS = [
    {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Pacific/Kiritimati"},
    {"PYTHONHASHSEED": "4242", "LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns"},
    {"PYTHONHASHSEED": "random", "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu"},
]


def decided() -> bytes:
    """Return all priorities of a few hundred findings as bytes, most urgent first."""
    chance = random.Random(20)
    waivers = [
        Waiver(
            id=name,
            tenant="",
            owner="olga",
            reason="a reason long enough",
            until=NOON + timedelta(days=days),
            package="zip3",
            hosts=parse_selector("role in (web, db)"),
        )
        for name, days in (("b", 3), ("a", 3), ("old", -3))
    ]
    pairs: list[tuple[Priority, str]] = []
    for number, known in enumerate(sample(3).known[:400]):
        host = Host(
            name=f"host{number % 7}",
            tenant="acme",
            address="",
            critical=number % 5 == 0,
            exposed=number % 2 == 0,
            labels={"role": chance.choice(["web", "db", "other"])},
        )
        profile = risk_profile(PROFILE_NAMES[number % 3])
        seen, more = _finding(chance, host, known.cve, number), _more(chance, known)
        pairs.append(
            (prioritise(seen, host, more, NOON, profile=profile, waivers=waivers), seen.id)
        )
    pairs.sort(key=lambda pair: (pair[0].order, pair[1]))
    return b"\n".join(name.encode() + to_document(priority) for priority, name in pairs)


def _finding(chance: random.Random, host: Host, cve: str, number: int) -> Finding:
    return Finding(
        id=f"{number:04d}",
        tenant="acme",
        host=host.name,
        cve=cve,
        package=f"zip{number % 9}",
        binaries=("zip",),
        installed="1",
        fixed=chance.choice([None, "2", "2", "2"]),
        fix_pending=True,
        because=Because(feed="rocky", document="d", compared="1 < 2"),
        update_class=chance.choice([UpdateClass.SECURITY] * 5 + [*UpdateClass]),
        severity=chance.choice(["", "Important", "CRITICAL", "KRİTİK"]),
        fix_published=NOON - timedelta(days=chance.randint(0, 30)),
    )


def _more(chance: random.Random, known: Vulnerability) -> Vulnerability:
    candidates = [
        Cvss(version=version, vector="V", score=score, computed_score=None, source=source)
        for version, score, source in (
            ("3.1", 9.8, "nvd"),
            ("3.1", 7.5, "cna:x"),
            ("2.0", 10.0, "nvd"),
        )
    ]
    kinds = chance.sample(["exploitdb", "metasploit", "nuclei", "new"], 2)
    return replace(
        known,
        cvss_candidates=tuple(chance.sample(candidates, chance.randint(0, 3))),
        exploits=tuple(
            Exploit(kind=kind, reference="x", published=date(2026, 11, 1)) for kind in kinds
        ),
    )


def digest() -> str:
    """Return one name for every decision and for the order of all CVEs in bulk."""
    given = sample(5)
    frame = score_all(given.epss, given.kev, given.cvss, given.ssvc, exposed=True)
    return hashlib.sha256(decided() + frame.to_csv(index=False).encode()).hexdigest()


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: " ".join(world.values()))
def test_the_order_is_the_same_to_the_byte(world: dict[str, str]) -> None:
    source = "from tests.contract.test_scoring_determinism import digest; print(digest())"
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])

    found = subprocess.run(
        [sys.executable, "-c", source],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **world},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert found.stdout.strip() == digest()
