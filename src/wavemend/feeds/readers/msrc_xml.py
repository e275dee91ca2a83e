"""Microsoft's security bulletins (CVRF) as values: vulnerabilities, remedies, products.

And the reader of the XML form. One document is a month. The XML is read element by element: a
month may hold several hundred vulnerabilities, and only one of them is in memory at a time.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeAlias
from xml.etree.ElementTree import Element, ParseError
from xml.parsers import expat

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from wavemend.feeds import Document
from wavemend.feeds.reading.archives import open_stream
from wavemend.feeds.reading.documents import moment, reject
from wavemend.versions import Scheme

OLDEST_EXPAT = (2, 4, 1)
"""From here on expat itself stops documents that grow by their own entities."""
DEEPEST = 32
"""Levels. Real documents have 8."""
MOST_ELEMENTS = 100_000
"""Inside one vulnerability. Real ones have some 2,000."""
_FIRST_YEAR = datetime(1995, 1, 1, tzinfo=UTC)
"""A date never set is written as year 1."""

_POINTERS = frozenset(
    {"Release Notes", "Click to Run", "CBL-Mariner Releases", "MAU", "Change Log"}
)
_KB = re.compile(r"\b[0-9]{6,8}\b")
_WINDOWS_BUILD = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){3}")
_BUILD = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,5}")
_RPM_VERSION = re.compile(r"[0-9][A-Za-z0-9._+~^]*-[A-Za-z0-9._+~^]+")
_ARCH = re.compile(
    r"\s+for (x64|arm64|itanium|32-bit|64-bit)(?:-based)? (?:systems|editions)"
    r"|\s*\((32-bit|64-bit) edition\)",
    re.IGNORECASE,
)
_ARCHES = {"x64": "x64", "64-bit": "x64", "32-bit": "x86", "arm64": "arm64", "itanium": "ia64"}
_EXTRA = re.compile(r"\s*\((Server Core installation)\)|\s+(Service Pack [0-9])", re.IGNORECASE)
_WINDOWS = (
    (re.compile(r"windows server 20[0-9]{2}, ([0-9a-z]+) edition"), "windows-server-{}"),
    (re.compile(r"windows server,? version ([0-9a-z]+)"), "windows-server-{}"),
    (re.compile(r"windows server (20[0-9]{2}(?: r2)?)"), "windows-server-{}"),
    (re.compile(r"windows (10|11),? version ([0-9a-z]+)"), "windows-{}-{}"),
    (re.compile(r"windows 10"), "windows-10-1507"),
    (re.compile(r"windows 11"), "windows-11-21h2"),
    (re.compile(r"windows (vista|7|8|8\.1|rt|rt 8\.1)"), "windows-{}"),
)
"""The first Windows 10 and 11 are listed without their version."""
_LINUX = re.compile(r"(?:(?:azl|cbl)[0-9]+ (\S+) \S+ on )?(azure linux|cbl mariner) ([0-9.]+).*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a document says of itself, before its vulnerabilities."""

    title: str
    """`February 2026 Security Updates`."""
    initial: datetime | None
    current: datetime | None
    """When Microsoft last changed it; months go on changing for a long time."""
    products: Mapping[str, str]
    """Name of each product by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One remediation of one vulnerability, as published; empty where nothing is said."""

    kind: str
    """`Vendor Fix`, `Release Notes`, `Known Issue`, `Mitigation`, `Workaround`."""
    description: str
    """Of a vendor fix mostly the bare number of the KB, or where else to look."""
    products: tuple[str, ...]
    build: str
    subtype: str
    supersedes: str
    restart: str

    @property
    def kb(self) -> str:
        """`KB5075899`; empty where the description is no number but says where to look."""
        return f"KB{self.description}" if _KB.fullmatch(self.description) else ""

    @property
    def is_hotpatch(self) -> bool:
        """Microsoft writes `SecurityHotpatchUpdate` and, since 2026, `Security Hotpatch Update`."""
        return "hotpatch" in self.subtype.lower()

    @property
    def pointer(self) -> str:
        """What is named instead of a version: ` (Click to Run, Security Update)`."""
        known = self.description if self.description in _POINTERS else "no number"
        kind = "a KB" if self.kb else known
        return f" ({', '.join(part for part in (kind, self.subtype) if part)})"

    @property
    def restarts(self) -> bool | None:
        """Whether it needs a restart; None: `Maybe`, or nothing is said.

        Hotpatches are often published as needing the restart that they exist to spare.
        """
        if self.is_hotpatch:
            return False
        return {"yes": True, "no": False}.get(self.restart.lower())

    @property
    def words(self) -> tuple[str, ...]:
        """What a person should know of an update beside its version."""
        replaced = _KB.sub(lambda hit: f"KB{hit[0]}", self.supersedes)
        restart = "" if self.is_hotpatch else self.restart
        said = (
            self.subtype,
            replaced and f"replaces {replaced}",
            restart and f"restart: {restart}",
        )
        return tuple(word for word in said if word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One vulnerability of a document."""

    cve: str
    """Also `ADV240001`: an advisory that has no CVE."""
    title: str
    published: datetime | None
    """Date of its first revision."""
    severities: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Microsoft's word, by product id."""
    statuses: tuple[str, ...] = ()
    """`Publicly Disclosed:No;Exploited:Yes;…`."""
    scores: tuple[tuple[str, str], ...] = ()
    """Vector and base score, each different pair once, in fixed order."""
    remedies: tuple[Remedy, ...] = ()


Part: TypeAlias = Sheet | Record


def line(text: str | None) -> str:
    """Return a text on one line; documents are indented by some mirrors."""
    return " ".join((text or "").split())


def first_date(texts: Iterator[str]) -> datetime | None:
    """Return the earliest real date."""
    found = [at for text in texts if (at := moment(text)) is not None and at >= _FIRST_YEAR]
    return min(found, default=None)


def require_safe_expat(version: tuple[int, int, int] = expat.version_info) -> None:
    """Refuse to read XML with a parser that a small document can make eat all memory."""
    if version < OLDEST_EXPAT:
        running, needed = (".".join(map(str, item)) for item in (version, OLDEST_EXPAT))
        reject("msrc", f"the XML parser expat {running} is unsafe; {needed} or newer is needed.")


def read_xml(document: Document, *, most: int) -> Iterator[Part]:
    """Yield the document's sheet and then its vulnerabilities. Raises FeedRejected."""
    require_safe_expat()
    texts: dict[str, str] = {}
    products: dict[str, str] = {}
    announced = False
    for element in _elements(document, most):
        tag = _name(element)
        if tag == "FullProductName":
            products[element.get("ProductID", "")] = line(element.text)
        elif tag in {"DocumentTitle", "InitialReleaseDate", "CurrentReleaseDate"}:
            texts.setdefault(tag, line(element.text))
        elif tag == "Vulnerability":
            if not announced:
                yield _sheet(texts, products)
                announced = True
            yield _record(element)
    if not texts.get("DocumentTitle"):
        reject(document.name, "is not one of Microsoft's CVRF documents: it has no title.")
    if not announced:
        yield _sheet(texts, products)


def _elements(document: Document, most: int) -> Iterator[Element]:
    """Yield each finished element; what is outside of a vulnerability is dropped at once."""
    above: list[Element] = []
    alive = inside = 0
    try:
        with open_stream(document, most=most) as file:
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                is_record = _name(element) == "Vulnerability"
                if event == "start":
                    above.append(element)
                    alive, inside = alive + 1, inside + is_record
                    if len(above) > DEEPEST or alive > MOST_ELEMENTS:
                        reject(document.name, "is nested too deeply, or one entry is too large.")
                    continue
                above.pop()
                inside -= is_record
                yield element
                if not inside and above:
                    del above[-1][:]
                    alive = len(above)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reject(document.name, f"is not whole, plain XML: {error}.")


def _sheet(texts: Mapping[str, str], products: Mapping[str, str]) -> Sheet:
    return Sheet(
        title=texts.get("DocumentTitle", ""),
        initial=moment(texts.get("InitialReleaseDate")),
        current=moment(texts.get("CurrentReleaseDate")),
        products=MappingProxyType(dict(products)),
    )


def _record(element: Element) -> Record:
    threats = [(item.get("Type", ""), item) for item in _all(element, "Threat")]
    return Record(
        cve=_text(element, "CVE"),
        title=_text(element, "Title"),
        published=first_date(_text(item, "Date") for item in _all(element, "Revision")),
        severities=MappingProxyType(
            {
                product: _text(item, "Description")
                for kind, item in threats
                if kind == "Severity"
                for product in _products(item) or ("",)
            }
        ),
        statuses=tuple(
            _text(item, "Description") for kind, item in threats if kind == "Exploit Status"
        ),
        scores=tuple(
            sorted(
                {
                    (_text(item, "Vector"), _text(item, "BaseScore"))
                    for item in _all(element, "ScoreSet")
                }
            )
        ),
        remedies=tuple(_remedy(item) for item in _all(element, "Remediation")),
    )


def _remedy(item: Element) -> Remedy:
    return Remedy(
        kind=item.get("Type", ""),
        description=_text(item, "Description"),
        products=_products(item),
        build=_text(item, "FixedBuild"),
        subtype=_text(item, "SubType"),
        supersedes=_text(item, "Supercedence"),
        restart=_text(item, "RestartRequired"),
    )


def _name(element: Element) -> str:
    """Return a tag without its namespace; the namespaces changed between versions of the API."""
    return element.tag.rpartition("}")[2]


def _all(element: Element, name: str) -> Iterator[Element]:
    return (item for item in element.iter() if _name(item) == name)


def _text(element: Element, name: str) -> str:
    """Return the text of a direct child."""
    return next((line(item.text) for item in element if _name(item) == name), "")


def _products(element: Element) -> tuple[str, ...]:
    return tuple(line(item.text) for item in element if _name(item) == "ProductID")


def slug(text: str) -> str:
    """Return a name in lower case with `-` between words; dots stay inside of numbers."""
    dotless = re.sub(r"(?<![0-9])\.|\.(?![0-9])", " ", text.lower())
    return re.sub(r"[^a-z0-9.]+", "-", dotless).strip("-")


def release_of(product: str) -> tuple[str, str, str]:
    """Return release key, architecture and note of a product's published name.

    `Windows Server 2012 R2 (Server Core installation)` is `windows-server-2012-r2`, and
    `Windows 11 Version 24H2 for x64-based Systems` is `windows-11-24h2` on `x64`. What is not a
    Windows has the slug of its name.
    """
    release, arch, note = _windows(product)
    return release or slug(_ARCH.sub("", product)), arch, note


def _windows(product: str) -> tuple[str, str, str]:
    text = " ".join(product.split())
    hit = _ARCH.search(text)
    arch = _ARCHES[(hit[1] or hit[2]).lower()] if hit else ""
    plain = _ARCH.sub("", text)
    extras = [first or second for first, second in _EXTRA.findall(plain)]
    name = _EXTRA.sub("", plain).lower()
    for pattern, form in _WINDOWS:
        if found := pattern.fullmatch(name):
            return form.format(*found.groups()).replace(" ", "-"), arch, ", ".join(extras)
    return "", arch, ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Product:
    """Where an update of one published product belongs."""

    release: str
    package: str
    arch: str = ""
    scheme: Scheme = Scheme.WINDOWS
    is_windows: bool = False
    """True: the fixed version is the build of Windows itself."""

    def can_compare(self, version: str) -> bool:
        """Say whether a fixed version is one of this product's, not a number of something else."""
        if self.scheme is Scheme.RPM:
            return _RPM_VERSION.fullmatch(version) is not None
        return (_WINDOWS_BUILD if self.is_windows else _BUILD).fullmatch(version) is not None


def product_of(name: str, described: str) -> Product:
    """Return where a product's updates belong; `described` names the package in old Linux rows."""
    linux = _LINUX.fullmatch(name.lower())
    if linux:
        system = "azurelinux" if linux[2] == "azure linux" else "mariner"
        package = linux[1] or described
        return Product(release=f"{system}-{linux[3]}", package=package, scheme=Scheme.RPM)
    release, arch, _ = _windows(name)
    if release:
        return Product(release=release, package=release, arch=arch, is_windows=True)
    component, on, host = name.rpartition(" on ")
    release, arch, _ = _windows(host)
    if on and release:
        return Product(release=release, package=slug(component), arch=arch)
    release, arch, _ = release_of(name)
    return Product(release=release, package=release, arch=arch)
