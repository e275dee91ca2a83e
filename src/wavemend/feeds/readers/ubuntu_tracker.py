"""What Ubuntu's CVE tracker says of a CVE, whatever form it came in, and what follows from it.

One package may have several lines in one release: the plain one, and those of Ubuntu Pro
(`esm-infra/bionic`, `esm-apps/jammy`). They are put together into one statement per release and
package, because a host has one package: a fix for everybody wins, then a fix for subscribers.

FIPS, realtime and BlueField builds are other builds with other versions. They get a release of
their own, `fips-updates/focal`; a kernel flavour that exists only there (`linux-fips`) cannot be
confused with the plain one and stays with the codename that its hosts report.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wavemend.advisories import Advisory, AdvisoryStatus
from wavemend.feeds import Sink
from wavemend.feeds.reading.deb_releases import OTHER_RELEASE, UBUNTU_CODENAMES, version_trouble
from wavemend.feeds.reading.scores import assessment
from wavemend.versions import deb_key

_CODENAMES = frozenset(UBUNTU_CODENAMES.values())
PRO_POCKETS = frozenset({"esm", "esm-infra", "esm-apps", "esm-infra-legacy", "esm-apps-legacy"})
PLAIN_POCKETS = frozenset({"", "security", "updates"})
_OWN_FLAVOURS = ("-fips", "-realtime", "-bluefield")

ABSENT = "DNE"
_OPEN = frozenset({"needed", "pending", "deferred", "needs-triage", "active", "in-progress"})
_KNOWN = _OPEN | {"released", "not-affected", "ignored"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the tracker: one package in one release and pocket."""

    codename: str
    pocket: str
    """Empty, `security` or `updates` for everybody; else `esm-apps`, `fips-updates`, …"""
    package: str
    status: str
    note: str = ""
    """The version for `released` and `pending`, else words."""
    priority: str = ""
    """Where it differs from the CVE's."""

    @property
    def pro(self) -> bool:
        """True for the pockets that come with Ubuntu Pro."""
        return self.pocket in PRO_POCKETS

    @property
    def said(self) -> str:
        """The line's own words, for a note."""
        where = f"{self.pocket}: " if self.pocket not in PLAIN_POCKETS else ""
        return f"{where}{self.status}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One CVE as the tracker has it."""

    cve: str
    document: str
    priority: str
    summary: str
    published: datetime | None
    vectors: tuple[tuple[str, float | None], ...] = ()
    """CVSS vectors with the published number."""
    lines: tuple[Line, ...] = ()


@dataclass(slots=True)
class Tally:
    """What the heading says in the end."""

    newest: datetime | None = None
    coverage: dict[str, int] = field(
        default_factory=lambda: {"fixed_version": 0, "priority": 0, "cvss": 0}
    )

    def saw(self, at: datetime | None) -> None:
        """Remember the newest date."""
        if at is not None:
            self.newest = at if self.newest is None else max(self.newest, at)

    def advisory(self, advisory: Advisory) -> None:
        """Count the fields of an advisory."""
        self.coverage["fixed_version"] += advisory.fixed_version is not None
        self.coverage["priority"] += bool(advisory.urgency)


def split_release(name: str) -> tuple[str, str]:
    """Return codename and pocket of `esm-apps/jammy`, `trusty/esm` or `jammy`."""
    first, slash, second = name.partition("/")
    if not slash:
        return first, ""
    return (first, second) if second == "esm" else (second, first)


def release_key(codename: str, variant: str, package: str) -> str:
    """Return the release a statement is about: the codename, or `fips-updates/focal`."""
    own = not variant or any(flavour in package for flavour in _OWN_FLAVOURS)
    return codename if own else f"{variant}/{codename}"


def take_issue(issue: Issue, sink: Sink, tally: Tally) -> None:
    """Put one CVE into the sink; every line is an entry and goes out once."""
    tally.saw(issue.published)
    sink.entry(max(len(issue.lines), 1))
    if not issue.lines:
        sink.skip("record without packages")
        return
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in issue.lines:
        if line.codename not in _CODENAMES:
            sink.skip(OTHER_RELEASE)
        elif line.status == ABSENT:
            sink.skip("the release does not have the package")
        elif trouble := _trouble(line):
            where = f"{line.pocket}/{line.codename}" if line.pocket else line.codename
            sink.reject(f"{issue.document}: {line.package} in {where}", trouble)
        else:
            variant = "" if line.pro or line.pocket in PLAIN_POCKETS else line.pocket
            release = release_key(line.codename, variant, line.package)
            groups.setdefault((release, line.package), []).append(line)
    for (release, package), lines in groups.items():
        sink.used(len(lines))
        advisory = _advisory(issue, release, package, lines)
        tally.advisory(advisory)
        sink.advisory(advisory)
    if groups:
        _describe(issue, sink, tally)


def _trouble(line: Line) -> str:
    if line.status not in _KNOWN:
        return f"status {line.status!r:.30} is not known"
    return version_trouble(line.note) if line.status == "released" else ""


def _advisory(issue: Issue, release: str, package: str, lines: Sequence[Line]) -> Advisory:
    status, fixed, said = judge(lines)
    own = next((line.priority for line in lines if line.priority), "")
    return Advisory(
        id=f"UBUNTU-{issue.cve}",
        feed="ubuntu",
        document=issue.document,
        release=release,
        package=package,
        fixed_version=fixed,
        status=status,
        cves=(issue.cve,),
        summary=issue.summary,
        urgency=own or issue.priority,
        note=said,
    )


def judge(lines: Sequence[Line]) -> tuple[AdvisoryStatus, str | None, str]:
    """Put the lines of one package in one release together: status, fixed version, note. Pure.

    What the plain release says holds, except that a fix for subscribers is told where there is
    none for everybody, and that Pro speaks alone once standard support has ended.
    """
    plain = [line for line in lines if line.pocket in PLAIN_POCKETS]
    paid = [line for line in lines if line.pocket not in PLAIN_POCKETS]
    said = "; ".join(dict.fromkeys(line.said for line in (*plain, *paid)))
    fixed = _newest(line.note for line in plain if line.status == "released")
    if fixed is not None:
        return AdvisoryStatus.FIXED, fixed, ""
    fixed = _newest(line.note for line in paid if _fixed_for_subscribers(line))
    if fixed is not None:
        return AdvisoryStatus.NEEDS_SUBSCRIPTION, fixed, said
    by_plain = _without_fix({line.status for line in plain} - {"ignored"})
    by_paid = _without_fix({line.status for line in paid})
    return by_plain or by_paid or AdvisoryStatus.WILL_NOT_FIX, None, said


def _fixed_for_subscribers(line: Line) -> bool:
    """`not-affected` in a version of ESM's own means: an earlier update of ESM brought the fix."""
    if line.status == "released":
        return True
    in_esm = line.status == "not-affected" and "esm" in line.note
    return in_esm and not version_trouble(line.note)


def _newest(versions: Iterable[str]) -> str | None:
    return max(versions, key=deb_key, default=None)


def _without_fix(states: set[str]) -> AdvisoryStatus | None:
    """Return what follows from states without a fix, the worst first; None: from nothing."""
    if states & _OPEN:
        return AdvisoryStatus.UNFIXED
    if "ignored" in states:
        return AdvisoryStatus.WILL_NOT_FIX
    return AdvisoryStatus.NOT_AFFECTED if states else None


def _describe(issue: Issue, sink: Sink, tally: Tally) -> None:
    if issue.summary:
        sink.summary(issue.cve, issue.summary)
    if issue.published is not None:
        sink.published(issue.cve, issue.published)
    found = []
    for vector, published in issue.vectors:
        cvss, trouble = assessment(
            vector=vector, published=published, source="distribution:ubuntu", where=issue.document
        )
        if cvss is not None:
            found.append(cvss)
        if trouble is not None:
            sink.flaw(trouble.where, trouble.reason)
    if found:
        tally.coverage["cvss"] += 1
        sink.cvss(issue.cve, tuple(found))
