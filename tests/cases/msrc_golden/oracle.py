"""Read Microsoft's documents a second time, with nothing of wavemend: what the golden values are.

Run `python tests/cases/msrc_golden/oracle.py` to write `golden.json` anew; a person then reads the
difference. Only the standard library, and only what the tests ask: which update of which product
fixes which CVEs in which build, what was exploited, and what needs a restart.
"""

import json
import lzma
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.json"

PRODUCTS = (
    "Windows Server 2025",
    "Windows Server 2022",
    "Windows Server 2019",
    "Windows Server 2016",
    "Windows Server 2012 R2",
    "Windows 10 Version 1809 for x64-based Systems",
    "Windows 11 Version 24H2 for x64-based Systems",
)
"""As Microsoft calls them."""


class Row(NamedTuple):
    """One vendor fix of one CVE for one product."""

    month: str
    product: str
    kb: str
    build: str
    cve: str
    exploited: bool
    restart: str
    subtype: str


def rows() -> list[Row]:
    """Return all vendor fixes with a KB for the products, of all stored months."""
    found = [*_of_xml(HERE / "2026-Feb.xml.xz"), *_of_tar(HERE / "cvrf-2024-11_2025-02.tar.xz")]
    return sorted(
        row for row in set(found) if row.product in PRODUCTS and re.fullmatch(r"\d{6,8}", row.kb)
    )


def golden(found: list[Row]) -> list[dict[str, Any]]:
    """Return one line per month, product and KB."""
    lines = []
    for month, product, kb in sorted({(row.month, row.product, row.kb) for row in found}):
        mine = [row for row in found if (row.month, row.product, row.kb) == (month, product, kb)]
        lines.append(
            {
                "month": month,
                "product": product,
                "kb": f"KB{kb}",
                "cves": len({row.cve for row in mine}),
                "builds": sorted({row.build for row in mine}),
                "exploited": sorted({row.cve for row in mine if row.exploited}),
                "restart": sorted({row.restart for row in mine}),
                "subtype": sorted({row.subtype for row in mine}),
            }
        )
    return lines


def _of_xml(path: Path) -> Iterator[Row]:
    with lzma.open(path) as file:
        root = ET.parse(file).getroot()  # noqa: S314
    names = {
        item.get("ProductID"): item.text
        for item in root.iter()
        if item.tag.endswith("}FullProductName")
    }
    for vulnerability in root.iter():
        if not vulnerability.tag.endswith("}Vulnerability"):
            continue
        exploited = any(
            item.get("Type") == "Exploit Status" and "Exploited:Yes" in "".join(item.itertext())
            for item in vulnerability.iter()
        )
        cve = _child(vulnerability, "CVE")
        for fix in vulnerability.iter():
            if not fix.tag.endswith("}Remediation") or fix.get("Type") != "Vendor Fix":
                continue
            for item in fix:
                if item.tag.endswith("}ProductID"):
                    yield Row(
                        "2026-Feb",
                        names[item.text] or "",
                        _child(fix, "Description"),
                        _child(fix, "FixedBuild"),
                        cve,
                        exploited,
                        _child(fix, "RestartRequired"),
                        _child(fix, "SubType"),
                    )


def _child(element: ET.Element, name: str) -> str:
    found = [item.text or "" for item in element if item.tag.endswith(f"}}{name}")]
    return found[0].strip() if found else ""


def _of_tar(path: Path) -> Iterator[Row]:
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            document = json.load(file)
            names = dict(_leaves(document["producttree"]))
            vulnerability = document["vulnerability"]
            for found in vulnerability if isinstance(vulnerability, list) else [vulnerability]:
                yield from _of_split(member.name.partition("/")[0], found, names)


def _of_split(month: str, found: dict[str, Any], names: dict[str, str]) -> Iterator[Row]:
    exploited = any(
        threat["type"] == "Exploit Status" and "Exploited:Yes" in threat["description"]
        for threat in found["threats"]["threat"]
    )
    for fix in found["remediations"]["remediation"]:
        if fix["type"] != "Vendor Fix":
            continue
        products = fix.get("product_id", [])
        for number in products if isinstance(products, list) else [products]:
            yield Row(
                month,
                names[number],
                fix["description"],
                fix.get("fixed_build", ""),
                found["cve"],
                exploited,
                fix.get("restart_required", ""),
                fix.get("sub_type", ""),
            )


def _leaves(tree: Any) -> Iterator[tuple[str, str]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _leaves(item)
    elif isinstance(tree, dict):
        if "productid" in tree:
            yield tree["productid"], tree["text"]
        for inner in tree.values():
            yield from _leaves(inner)


if __name__ == "__main__":
    lines = [json.dumps(line) for line in golden(rows())]
    GOLDEN.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
