"""zypper's XML, read into values. Pure; what is no XML is a refusal or an error, never empty."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from wavemend.managers.reading.sections import Section
from wavemend.managers.rpm.installed import plain_evr
from wavemend.packages import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of `zypper --xmlout`. Without a root it could not be read."""

    root: Element | None
    status: int
    words: str
    """Its own errors and problems; else how it ended."""

    def rows(self, *path: str) -> Iterator[Element]:
        """Yield elements by the names of what they lie in, outermost first."""
        if self.root is not None:
            yield from self.root.iterfind(".//" + "/".join(path))


def read_answer(section: Section | None) -> Answer:
    """Read a section; a document that is cut off or malformed has no root."""
    if section is None:
        return Answer(root=None, status=0, words="it was not asked")
    text = "\n".join(section.lines)
    try:
        root = fromstring(text[text.index("<stream") :])
    except (ValueError, ParseError, DefusedXmlException):
        root = None
    return Answer(root=root, status=section.status, words=_words(root, section))


def _words(root: Element | None, section: Section) -> str:
    said: list[str] = []
    if root is not None:
        said = [
            " ".join(node.itertext())
            for node in root.iter()
            if (node.tag == "message" and node.get("type") == "error")
            or (node.tag == "description" and "Problem: " in (node.text or ""))
        ]
    said = said or list(section.errors[-3:]) or list(section.lines[-3:])
    words = " ".join(" ".join(said).split())
    return words[:1000] or f"it ended with {section.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One row of `list-updates`."""

    package: Target
    repository: str


def read_updates(answer: Answer) -> tuple[Listed, ...]:
    """Read `list-updates`: package rows only."""
    found = []
    for row in answer.rows("update-list", "update"):
        source = row.find("source")
        if row.get("kind") == "package":
            repository = source.get("alias", "") if source is not None else ""
            found.append(Listed(package=_target(row), repository=repository))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One patch: SUSE's advisory."""

    name: str
    security: bool
    cves: tuple[str, ...]
    below: tuple[Target, ...] = ()
    """Packages it replaces when they are older than this; no architecture: any."""


def read_patches(answer: Answer, infos: Section | None) -> tuple[Patch, ...]:
    """Read `list-patches` with their CVEs, and from `patch-info` which packages they fix."""
    fixes = _conflicts(infos.lines if infos else ())
    found: dict[str, Patch] = {}
    for row in answer.rows("update-list", "update"):
        name = row.get("name", "")
        if row.get("kind") == "patch" and name:
            cves = {
                issue.get("id", "")
                for issue in row.iterfind("issue-list/issue")
                if issue.get("type") == "cve"
            }
            found[name] = Patch(
                name=name,
                security=row.get("category") == "security",
                cves=tuple(sorted(cves)),
                below=fixes.get(name, ()),
            )
    return tuple(found[name] for name in sorted(found))


_NAME = re.compile(r"Name +: (?P<name>\S+) *")
_HEAD = re.compile(r"Conflicts +: (?P<what>.*)")
_BELOW = re.compile(r" *(?:srcpackage:)?(?P<name>[^\s<]+?) < (?P<evr>\S+) *")
_ARCHES = frozenset({"noarch", "x86_64", "aarch64", "ppc64le", "s390x", "i586", "i686", "armv7hl"})


def _conflicts(lines: Sequence[str]) -> Mapping[str, tuple[Target, ...]]:
    """Return per patch what it conflicts with: every build that is older than its own."""
    found: dict[str, list[Target]] = {}
    name, inside = "", False
    for line in lines:
        if hit := _NAME.fullmatch(line):
            name, inside = hit["name"], False
            continue
        head = _HEAD.fullmatch(line)
        inside = head is not None or (inside and line.startswith(" "))
        row = _BELOW.fullmatch(head["what"] if head else line) if inside else None
        if row and name:
            stem, _, arch = row["name"].rpartition(".")
            known = arch in _ARCHES
            found.setdefault(name, []).append(
                Target(
                    name=stem if known else row["name"],
                    arch=arch if known else "",
                    version=plain_evr(row["evr"]),
                )
            )
    return {patch: tuple(rows) for patch, rows in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What an installation or update would do."""

    incoming: tuple[Target, ...]
    removed: tuple[str, ...]
    """Names that would be gone, sorted."""
    unwanted: str
    """What it would do that is never planned: downgrades, changes of vendor or architecture."""
    complete: bool
    download_bytes: int | None = None
    install_bytes: int | None = None


_NEVER = {
    "to-downgrade": "downgrade",
    "to-change-vendor": "change the vendor of",
    "to-change-arch": "change the architecture of",
    "to-downgrade-change-arch": "downgrade",
    "to-upgrade-change-arch": "change the architecture of",
}


def read_summary(answer: Answer) -> Summary:
    """Read the summary before the question whether to go on."""
    summary = next(answer.rows("install-summary"), None)
    if summary is None:
        return Summary(incoming=(), removed=(), unwanted="", complete=False)
    groups: dict[str, list[Target]] = {
        group.tag: [_target(row) for row in group.iterfind("solvable") if _is_package(row)]
        for group in summary
    }
    unwanted = [
        f"{what} {', '.join(sorted(target.name for target in groups[tag]))}"
        for tag, what in _NEVER.items()
        if groups.get(tag)
    ]
    coming = {*groups.get("to-upgrade", ()), *groups.get("to-install", ())}
    stay = {(target.name, target.arch) for target in coming}
    gone = {t.name for t in groups.get("to-remove", ()) if (t.name, t.arch) not in stay}
    return Summary(
        incoming=tuple(sorted(coming)),
        removed=tuple(sorted(gone)),
        unwanted="; ".join(unwanted),
        complete=True,
        download_bytes=_count(summary.get("download-size", "")),
        install_bytes=_count(summary.get("space-usage-diff", "")),
    )


def _is_package(row: Element) -> bool:
    return row.get("type", "package") == "package"


def _target(row: Element) -> Target:
    return Target(
        name=row.get("name", ""),
        arch=row.get("arch", ""),
        version=plain_evr(row.get("edition", "")),
    )


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else None
