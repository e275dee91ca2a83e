"""Security advisories in CSAF 2.0, as vendors publish them: read strictly, once, for all.

Only reading: which product is which release, and what a version means, is each feed's business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wavemend.advisories import Cvss, Reject
from wavemend.feeds.reading.documents import (
    CVE_ID,
    as_list,
    as_object,
    as_text,
    first_words,
    moment,
    reject,
)
from wavemend.feeds.reading.scores import assessment

_SCORE_KEYS = ("cvss_v4", "cvss_v3", "cvss_v2")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsafRow:
    """What an advisory says of one component of one product."""

    status: str
    """CSAF's own word: `recommended`, `fixed`, `known_affected`…"""
    product_id: str
    component: str
    """Name of the component; empty where no relationship explains the product id."""
    product: str
    """Name of the product it is part of, as the product tree spells it."""
    cves: tuple[str, ...]
    """In the advisory's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsafScore:
    """The assessments an advisory gives of one CVE."""

    cve: str
    candidates: tuple[Cvss, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsafAdvisory:
    """One document. Times are UTC-aware."""

    id: str
    document: str
    title: str
    """One line; raw feed text."""
    severity: str
    """`document.aggregate_severity`; the vendor's own word."""
    published: datetime | None
    changed: datetime
    rows: tuple[CsafRow, ...]
    """One per product id and status, in the order of the document."""
    cves: tuple[str, ...]
    scores: tuple[CsafScore, ...]
    flaws: tuple[Reject, ...]
    """Parts that could not be read, the rest of the advisory could."""

    @property
    def entries(self) -> int:
        """How many entries the advisory counts for: one per row, at least one."""
        return max(len(self.rows), 1)


def read_csaf(value: object, name: str, *, source: str) -> CsafAdvisory:
    """Read one parsed document; `source` is written into its CVSS assessments.

    Raises FeedRejected for what is not a CSAF advisory.
    """
    root = as_object(value, name)
    document = as_object(root.get("document"), f"{name}: document")
    tracking = as_object(document.get("tracking"), f"{name}: tracking")
    identifier = as_text(tracking.get("id"))
    changed = moment(tracking.get("current_release_date"))
    if not identifier or changed is None:
        reject(name, "is not a CSAF advisory: it has no id or no date.")
    flaws: list[Reject] = []
    vulnerabilities = [
        as_object(item, f"{name}: vulnerability")
        for item in as_list(root.get("vulnerabilities") or [], f"{name}: vulnerabilities")
    ]
    rows = _rows(vulnerabilities, _tree(root.get("product_tree"), name), flaws, name)
    return CsafAdvisory(
        id=identifier,
        document=name,
        title=first_words(as_text(document.get("title"))),
        severity=as_text(_mapping(document.get("aggregate_severity")).get("text")),
        published=moment(tracking.get("initial_release_date")),
        changed=changed,
        rows=rows,
        cves=tuple(dict.fromkeys(filter(None, map(_cve, vulnerabilities)))),
        scores=tuple(_scores(vulnerabilities, source, name, flaws)),
        flaws=tuple(flaws),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _cve(vulnerability: Mapping[str, Any]) -> str:
    cve = as_text(vulnerability.get("cve"))
    return cve if CVE_ID.fullmatch(cve) else ""


@dataclass(frozen=True, slots=True)
class _Tree:
    """The product tree: names by product id, and what is part of what."""

    names: Mapping[str, str]
    parts: Mapping[str, tuple[str, str]]
    """Component and product, both as product ids, by the product id of the two together."""


def _tree(value: object, name: str) -> _Tree:
    tree = _mapping(value)
    names: dict[str, str] = {}
    waiting = [tree]  # not by recursion: how deep branches nest is the document's choice
    while waiting:
        branch = waiting.pop()
        product = _mapping(branch.get("product"))
        if product:
            names[as_text(product.get("product_id"))] = as_text(product.get("name"))
        waiting += [
            _mapping(item) for item in as_list(branch.get("branches") or [], f"{name}: branches")
        ]
    for item in as_list(tree.get("full_product_names") or [], f"{name}: full_product_names"):
        names[as_text(_mapping(item).get("product_id"))] = as_text(_mapping(item).get("name"))
    parts: dict[str, tuple[str, str]] = {}
    for item in as_list(tree.get("relationships") or [], f"{name}: relationships"):
        relation = _mapping(item)
        both = as_text(_mapping(relation.get("full_product_name")).get("product_id"))
        component = as_text(relation.get("product_reference"))
        parts[both] = (component, as_text(relation.get("relates_to_product_reference")))
    return _Tree(names, parts)


def _rows(
    vulnerabilities: list[Mapping[str, Any]], tree: _Tree, flaws: list[Reject], name: str
) -> tuple[CsafRow, ...]:
    """Return the rows; the same product under several CVEs is one row with all of them."""
    cves: dict[tuple[str, str], list[str]] = {}
    for vulnerability in vulnerabilities:
        cve = _cve(vulnerability)
        if not cve and "cve" in vulnerability:
            flaws.append(Reject(where=name, reason=f"not a CVE: {vulnerability['cve']!r:.40}"))
        for status, products in sorted(_mapping(vulnerability.get("product_status")).items()):
            for product in as_list(products, f"{name}: product_status"):
                cves.setdefault((status, as_text(product)), []).append(cve)
    found: list[CsafRow] = []
    for (status, product_id), named in cves.items():
        component, product = tree.parts.get(product_id, ("", ""))
        found.append(
            CsafRow(
                status=status,
                product_id=product_id,
                component=tree.names.get(component, component),
                product=tree.names.get(product, product),
                cves=tuple(dict.fromkeys(filter(None, named))),
            )
        )
    return tuple(found)


def _scores(
    vulnerabilities: list[Mapping[str, Any]], source: str, name: str, flaws: list[Reject]
) -> Iterator[CsafScore]:
    """Yield the assessments per CVE; vectors that mean nothing become flaws."""
    for vulnerability in vulnerabilities:
        cve = _cve(vulnerability)
        found: dict[tuple[str, str], Cvss] = {}
        for item in as_list(vulnerability.get("scores") or [], f"{name}: scores"):
            for key in _SCORE_KEYS:
                part = _mapping(_mapping(item).get(key))
                if not part:
                    continue
                cvss, trouble = assessment(
                    vector=as_text(part.get("vectorString")),
                    published=part.get("baseScore"),
                    source=source,
                    where=f"{name}: {cve}",
                )
                if cvss is not None:
                    found[cvss.version, cvss.vector] = cvss
                if trouble is not None:
                    flaws.append(trouble)
        if cve and found:
            yield CsafScore(cve=cve, candidates=tuple(found.values()))
