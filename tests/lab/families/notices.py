"""What a distribution says about its updates: advisories, as the updateinfo.xml of a repository."""

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

# CVE numbers end far below: nothing can take these for a real vulnerability.
_OWN_CVE = "CVE-2026-9999{:02d}"
_ISSUED = "2026-11-02 10:00:00"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said about one package's update.

    Attributes:
        kind: `security`, `bugfix` or `enhancement`.
        severity: As RHEL spells it; empty where none is given.
        cves: Numbers of made-up CVEs, for the lab's own packages.
        reboot: Whether the advisory suggests a reboot.
    """

    kind: str = "security"
    severity: str = ""
    cves: tuple[str, ...] = ()
    reboot: bool = False


def _own(severity: str, number: int, *, reboot: bool = False) -> Notice:
    return Notice("security", severity, (_OWN_CVE.format(number),), reboot)


# An update that is not named here has no advisory: wm-conffile and wm-big are such.
NOTICES = {
    "jq": Notice("security", "Moderate"),
    "openssl": Notice("security", "Important"),
    "rsync": Notice("security", "Critical"),
    "unzip": Notice("security", "Low"),
    "xz": Notice("security", "Important"),
    "zip": Notice("security", "Moderate"),
    "wm-fine": Notice("bugfix"),
    "wm-fails": _own("Moderate", 1),
    "wm-slow": _own("Moderate", 2),
    "wm-reboot": _own("Important", 3, reboot=True),
    "wm-newdep": Notice("enhancement"),
    "wm-clash": _own("Low", 4),
    "wm-refuses": _own("Low", 5),
    "wm-late": _own("Critical", 6),
    "kernel": _own("Important", 7, reboot=True),
    "kernel-default": _own("Important", 7, reboot=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePackage:
    """One package of an advisory, as the repository names it."""

    name: str
    epoch: int
    version: str
    release: str
    architecture: str
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One advisory of a repository, in the words of its distribution."""

    id: str
    title: str
    kind: str
    severity: str
    cves: tuple[str, ...]
    packages: tuple[UpdatePackage, ...]
    reboot: bool


def updateinfo(advisories: Iterable[Advisory], vendor: str) -> str:
    """Return an updateinfo.xml."""
    top = ElementTree.Element("updates")
    for advisory in advisories:
        top.append(_update(advisory, vendor))
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _update(advisory: Advisory, vendor: str) -> ElementTree.Element:
    words = {"from": "lab@example.org", "status": "final", "type": advisory.kind, "version": "1"}
    update = ElementTree.Element("update", words)
    texts = {
        "id": advisory.id,
        "title": advisory.title,
        "severity": advisory.severity,
        "release": vendor,
        "summary": advisory.title,
        "description": f"{advisory.title}. Fixes: {', '.join(advisory.cves) or 'no CVE'}.",
    }
    for tag, text in texts.items():
        if text:
            ElementTree.SubElement(update, tag).text = text
    for tag in ("issued", "updated"):
        ElementTree.SubElement(update, tag, {"date": _ISSUED})
    references = ElementTree.SubElement(update, "references")
    for cve in advisory.cves:
        where = f"https://example.org/security/cve/{cve}"
        words = {"href": where, "id": cve, "title": cve, "type": "cve"}
        ElementTree.SubElement(references, "reference", words)
    collection = ElementTree.SubElement(
        ElementTree.SubElement(update, "pkglist"), "collection", {"short": "lab"}
    )
    ElementTree.SubElement(collection, "name").text = vendor
    for package in advisory.packages:
        collection.append(_package(package, reboot=advisory.reboot))
    return update


def _package(package: UpdatePackage, *, reboot: bool) -> ElementTree.Element:
    words = {
        "name": package.name,
        "epoch": str(package.epoch),
        "version": package.version,
        "release": package.release,
        "arch": package.architecture,
        "src": package.filename.replace(f".{package.architecture}.rpm", ".src.rpm"),
    }
    element = ElementTree.Element("package", words)
    ElementTree.SubElement(element, "filename").text = package.filename
    if reboot:
        ElementTree.SubElement(element, "reboot_suggested").text = "True"
    return element
