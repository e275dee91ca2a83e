"""What each real KB fixes, in which build, exploited or not: as a second reading of Microsoft says.

The second reading is `tests/cases/msrc_golden/oracle.py`, which uses nothing of wavemend.
"""

import json
from collections import defaultdict
from functools import cache

import pytest

from tests.cases.msrc_golden import oracle
from tests.cases.windows_hosts import NOON, PRODUCTS, SERVER, WIN1, known, offered, product, seen
from wavemend.advisories import Advisory
from wavemend.findings import HostFindings
from wavemend.hosts import Facts
from wavemend.matching import Matcher
from wavemend.windows.products import release_key

ROWS = oracle.rows()
HOTPATCH = {"SecurityHotpatchUpdate", "Security Hotpatch Update"}
NUMBERED = "IE Cumulative"
"""Its rows are numbered as Internet Explorer is, not as Windows."""


@cache
def matcher() -> Matcher:
    return Matcher(known())


def findings(facts: Facts) -> HostFindings:
    return matcher().match(WIN1, facts, today=NOON.date())


def statements(published: str) -> list[Advisory]:
    """What our reader made of one of Microsoft's products."""
    name, arch = PRODUCTS[published]
    return [item for item in known().advisories_for(name, name) if item.arch in {"", arch}]


def test_the_golden_lines_are_what_the_documents_say() -> None:
    lines = json.loads(oracle.GOLDEN.read_text("utf-8"))

    assert oracle.golden(ROWS) == lines
    assert len({line["product"] for line in lines}) == 7
    assert len({line["month"] for line in lines}) == 5


@pytest.mark.parametrize("published", oracle.PRODUCTS)
def test_our_reader_says_of_each_update_what_the_documents_say(published: str) -> None:
    theirs = defaultdict(set)
    for row in ROWS:
        if row.product == published and row.subtype != NUMBERED:
            module = "hotpatch" if row.subtype in HOTPATCH else ""
            restart = not module and row.restart == "Yes"
            theirs[row.month, f"KB{row.kb}", row.build, module, restart].add(row.cve)
    ours: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for item in statements(published):
        month = next(part for part in item.document.split("/") if part[:2] == "20")[:8]
        key = month, item.id, item.fixed_version, item.module, bool(item.restart)
        ours[key].update(item.cves)

    assert ours == theirs
    assert not any(item.restart is None for item in statements(published))


def test_what_microsoft_saw_exploited_is_evidence_for_the_same_cves() -> None:
    exploited = {row.cve for row in ROWS if row.exploited}
    others = {row.cve for row in ROWS} - exploited
    said = {
        cve
        for cve, vulnerability in known().vulnerabilities.items()
        if any(item.kind == "msrc-exploited" for item in vulnerability.exploits)
    }

    assert exploited <= said
    assert not others & said
    assert len(exploited) == 13


@pytest.mark.parametrize(
    ("published", "kb", "build", "count"),
    [
        ("Windows Server 2025", "KB5075899", "10.0.26100.32370", 29),
        ("Windows Server 2022", "KB5075906", "10.0.20348.4773", 27),
        ("Windows Server 2019", "KB5075904", "10.0.17763.8389", 24),
        ("Windows 10 Version 1809 for x64-based Systems", "KB5075904", "10.0.17763.8389", 22),
        ("Windows Server 2016", "KB5075999", "10.0.14393.8868", 21),
        ("Windows Server 2012 R2", "KB5075970", "6.3.9600.23022", 15),
        ("Windows 11 Version 24H2 for x64-based Systems", "KB5077181", "10.0.26100.7840", 27),
    ],
)
def test_a_kb_closes_all_months_up_to_its_build_and_nothing_chains(
    published: str, kb: str, build: str, count: int
) -> None:
    name, arch = PRODUCTS[published]
    first = build.rpartition(".")[0] + ".1"
    found = findings(seen(product(name, first, arch), offered(kb))).findings
    rows = [row for row in ROWS if row.product == published and row.subtype != NUMBERED]
    month = {item.cve for item in found if item.fixed == build}

    assert len(month) == count
    assert {item.cve for item in found} == {row.cve for row in rows if row.subtype not in HOTPATCH}
    assert all(item.fix_pending and item.fixed for item in found)


def test_an_update_of_an_earlier_month_closes_only_what_came_until_then() -> None:
    host = seen(product(SERVER, "10.0.20348.2800"), offered("KB5051979"))
    pending = {item.cve for item in findings(host).findings if item.fix_pending}
    rows = [row for row in ROWS if row.product == "Windows Server 2022"]
    ordinary = [row for row in rows if row.subtype not in HOTPATCH]

    assert pending == {row.cve for row in ordinary if row.month != "2026-Feb"}
    assert len(pending) == 34 + 42 + 121 + 33
    assert len(findings(host).findings) == len(pending) + 27


def test_whatever_a_hotpatch_month_fixes_has_a_row_of_both_kinds() -> None:
    # That a hotpatched build is compared with hotpatch rows alone rests on this.
    kinds = defaultdict(set)
    for row in ROWS:
        kinds[row.product, row.month, row.cve].add(row.subtype in HOTPATCH)
    months = {(row.product, row.month) for row in ROWS if row.subtype in HOTPATCH}

    assert len(months) == 3 * 3 + 3
    assert all(found == {True, False} for key, found in kinds.items() if key[:2] in months)


def test_a_hotpatched_host_is_compared_within_the_hotpatch_rows() -> None:
    above, below = "10.0.26100.32313", "10.0.26100.32312"
    name = "windows-server-2025"

    assert not findings(seen(product(name, above, module="hotpatch"))).findings
    assert len(findings(seen(product(name, above))).findings) == 29
    lacking = findings(seen(product(name, below, module="hotpatch"), offered("KB5075942"))).findings
    assert len(lacking) == 29
    assert all(item.fix_pending and item.fixed == above for item in lacking)


def test_one_build_is_two_products_and_the_product_type_decides() -> None:
    build = "10.0.26100.7840"
    names = [release_key(build, kind) for kind in (1, 2, 3)]
    client, server = (findings(seen(product(name, build))).findings for name in names[:2])

    assert names == ["windows-11-24h2", "windows-server-2025", "windows-server-2025"]
    assert not client
    assert {item.fixed for item in server} == {"10.0.26100.32370"}


def test_what_internet_explorer_is_numbered_by_is_fixed_by_the_rollup_too() -> None:
    mine = [row for row in ROWS if row.product == "Windows Server 2012 R2"]
    explorer = {row.cve for row in mine if row.subtype == NUMBERED}

    assert len(explorer) == 9
    assert explorer <= {row.cve for row in mine if row.subtype == "Monthly Rollup"}
