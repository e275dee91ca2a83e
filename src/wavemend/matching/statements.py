"""Choose among a vendor's statements about one package, and compare the chosen ones with builds."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import TypeAlias

from wavemend.advisories import Advisory, AdvisoryStatus, UpdateClass, cve_order
from wavemend.findings import Because, Finding, NotJudged
from wavemend.matching.drafts import Draft, draft_of
from wavemend.matching.units import Build, Offer, Unit
from wavemend.versions import Scheme, VersionKey, key_of, order_name

HOTPATCH = "hotpatch"
"""Module of hotpatched Windows: its builds are numbered apart from the ordinary updates'."""

MODULAR = ".module"
"""In the release of every modular RPM build: `1.16.1-2.module+el8.4.0+…`."""

_OWN_PREFIXES = ("DEBIAN-", "UBUNTU-")


@dataclass(frozen=True, slots=True)
class Lack:
    """One fix a unit lacks: a finding of every host that has the same builds and offers."""

    draft: Draft
    order: tuple[int, int, str, str]
    subject: bytes
    """What names the finding apart from tenant and host."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the vendor's statements mean for one unit."""

    lacks: tuple[Lack, ...] = ()
    troubles: tuple[tuple[NotJudged, str], ...] = ()


NOTHING = Judgement()
"""Of most units: one value for all of them."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the statements are read with."""

    releases: tuple[str, ...]
    """The host's release keys that feeds speak of, the most exact first."""
    scheme: Scheme
    dates: Mapping[str, date]
    """By feed, the day of its data."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What holds for builds of one architecture and module, ready to be compared.

    Side by side, not pair by pair: all of Debian's statements pass through here.
    """

    keys: tuple[VersionKey, ...]
    """The fixed versions, sorted: a build is affected by all that come after its own."""
    cves: tuple[str, ...]
    """What each statement is about: of `keys` in their order, then of those without a fix.
    Empty where it is about no CVE."""
    advisories: tuple[Advisory, ...]
    fixes: tuple[Advisory, ...]
    """The advisory that brought the fix, where a CVE's own record is what holds (`DSA-5678-1`
    beside `CVE-…`); else the statement itself."""
    troubles: tuple[tuple[NotJudged, str], ...]

    def affecting(self, key: VersionKey) -> Iterator[tuple[str, Advisory, Advisory]]:
        """Return CVE, statement and the fix's advisory of all that a version is affected by."""
        first = bisect_right(self.keys, key)
        return zip(self.cves[first:], self.advisories[first:], self.fixes[first:], strict=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """What statements are chosen for."""

    name: str
    by_name: bool
    arch: str
    module: str
    modular: bool
    """The build's version says that it belongs to a module."""


def subject_of(unit: Unit, build: Build) -> Subject:
    """Return what decides which statements apply to a build. Sources have no architecture."""
    arch = build.arch if unit.by_name else ""
    modular = MODULAR in build.version
    return Subject(unit.name, unit.by_name, arch, build.module, modular)


def choose(subject: Subject, advisories: Sequence[Advisory], context: Context) -> Chosen:
    """Choose what holds for a subject, and make it ready to be compared. Pure."""
    troubles: dict[tuple[NotJudged, str], None] = {}
    if any(_lost_stream(item, subject) for item in advisories):
        troubles[NotJudged.STREAM, _stream_words(subject)] = None
    applying = [item for item in advisories if _applies(item, subject, context)]
    fixed: list[tuple[VersionKey, str, Advisory]] = []
    unfixed: list[tuple[str, Advisory]] = []
    for (cve, _), advisory in _chosen(applying, context).items():
        if advisory.status is AdvisoryStatus.NOT_AFFECTED:
            continue
        if advisory.fixed_version is None:
            unfixed.append((cve, advisory))
            continue
        try:
            key = key_of(context.scheme, advisory.fixed_version)
        except ValueError as error:
            troubles[NotJudged.STATEMENT, f"{advisory.document}: {error}"] = None
            continue
        fixed.append((key, cve, advisory))
    fixed.sort(key=itemgetter(0))
    fixes = _fixes(applying)
    holding = (*((cve, said) for _, cve, said in fixed), *unfixed)
    return Chosen(
        tuple(key for key, _, _ in fixed),
        tuple(cve for cve, _ in holding),
        tuple(said for _, said in holding),
        tuple(fixes.get((cve, said.fixed_version), said) for cve, said in holding),
        tuple(troubles),
    )


def speaks(subject: Subject, advisories: Iterable[Advisory], context: Context, about: str) -> bool:
    """Say whether any statement that applies to a subject names a CVE, or an advisory. Pure."""
    return any(
        _applies(item, subject, context) for item in advisories if about in {item.id, *item.cves}
    )


def _fixes(advisories: Iterable[Advisory]) -> Mapping[tuple[str, str | None], Advisory]:
    """Return by CVE and fixed version the first advisory that is not the CVE's own record."""
    fixes: dict[tuple[str, str | None], Advisory] = {}
    for advisory in sorted(advisories, key=_by_day):
        for cve in advisory.cves if advisory.fixed_version else ():
            if not _is_own(advisory.id, cve):
                fixes.setdefault((cve, advisory.fixed_version), advisory)
    return fixes


def _by_day(advisory: Advisory) -> tuple[str, str, str]:
    published = advisory.published
    return published.isoformat() if published else "9", advisory.id, advisory.document


_Affected: TypeAlias = tuple[Build, Advisory, Advisory]
"""A build, the statement that says so, and the advisory that brought the fix."""


def judge(unit: Unit, chosen: Sequence[Chosen], context: Context) -> Judgement:
    """Compare a unit's builds, each with what was chosen for it. Pure."""
    found: dict[tuple[str, str], list[_Affected]] = {}
    for build, holding in zip(unit.builds, chosen, strict=True):
        for cve, advisory, fix in holding.affecting(key_of(context.scheme, build.version)):
            about = (cve, "" if cve else advisory.id)
            found.setdefault(about, []).append((build, advisory, fix))
    troubles = dict.fromkeys(trouble for holding in chosen for trouble in holding.troubles)
    if not found and not troubles:
        return NOTHING
    lacks = [_lack(unit, cve, affected, context) for (cve, _), affected in found.items()]
    return Judgement(tuple(sorted(lacks, key=lambda lack: lack.order)), tuple(troubles))


def _applies(advisory: Advisory, subject: Subject, context: Context) -> bool:
    if advisory.scheme is not context.scheme:
        return False
    if subject.by_name and advisory.arch not in {"", subject.arch}:
        return False
    if advisory.module == subject.module:
        return not _lost_stream(advisory, subject)
    # A hotpatched system also takes the ordinary update that a hotpatch builds on.
    return subject.module == HOTPATCH and not advisory.module


def _lost_stream(advisory: Advisory, subject: Subject) -> bool:
    """Say whether a modular version stands without its stream, on either side.

    Streams are not comparable: 18 would pass for a fixed 16.
    """
    if advisory.scheme is not Scheme.RPM or advisory.arch not in {"", subject.arch}:
        return False
    nameless = subject.modular and not subject.module
    if MODULAR in (advisory.fixed_version or "") and not advisory.module:
        return bool(subject.module) or nameless
    return nameless and bool(advisory.module)


def _stream_words(subject: Subject) -> str:
    if subject.module:
        return (
            "the vendor has statements about modular builds that do not name their stream: "
            f"whether {subject.module} is meant cannot be said"
        )
    return "a modular build, and the host does not say of which stream"


def _chosen(advisories: Iterable[Advisory], context: Context) -> Mapping[tuple[str, str], Advisory]:
    """Choose one statement per CVE, and one per advisory that is about no CVE or not security.

    The most exact release speaks first. A CVE's own record knows best; an advisory names CVEs it
    fixes together, and may name one again for a regression. Of two fixed versions of equal
    standing the higher counts. A fix anywhere beats a record that (still) knows of none.
    """
    standing: dict[tuple[str, str], tuple[object, ...]] = {}
    chosen: dict[tuple[str, str], Advisory] = {}
    for advisory in sorted(advisories, key=lambda item: (item.id, item.document, item.feed)):
        for about in _subjects(advisory):
            rank = _standing(advisory, about[0], context)
            if about not in chosen or rank > standing[about]:
                chosen[about], standing[about] = advisory, rank
    return chosen


def _subjects(advisory: Advisory) -> list[tuple[str, str]]:
    subjects = [(cve, "") for cve in advisory.cves]
    if not advisory.cves or advisory.update_class is not UpdateClass.SECURITY:
        subjects.append(("", advisory.id))
    return subjects


def _standing(
    advisory: Advisory, cve: str, context: Context
) -> tuple[bool, bool, int, bool, VersionKey]:
    exact = not any(other.startswith(f"{advisory.release}.") for other in context.releases)
    own = _is_own(advisory.id, cve)
    rank, free, key = _weight(advisory, context.scheme, own=own)
    return bool(advisory.module), exact, rank, free, key


_NO_KEY: VersionKey = (-1, (), ())


def _weight(advisory: Advisory, scheme: Scheme, *, own: bool) -> tuple[int, bool, VersionKey]:
    """Return how much a statement's content counts, whether its fix is free, and its version."""
    if advisory.status is AdvisoryStatus.NOT_AFFECTED:
        return 4 if own else 0, True, _NO_KEY
    if advisory.fixed_version is not None:
        try:
            key = key_of(scheme, advisory.fixed_version)
        except ValueError:
            return 2, own, _NO_KEY
        free = advisory.status is not AdvisoryStatus.NEEDS_SUBSCRIPTION
        return 5 if own else 3, free, key
    return 1, advisory.status is AdvisoryStatus.WILL_NOT_FIX, _NO_KEY


def _is_own(identifier: str, cve: str) -> bool:
    return bool(cve) and any(
        identifier.removeprefix(prefix) == cve for prefix in ("", *_OWN_PREFIXES)
    )


def _lack(unit: Unit, cve: str, affected: Sequence[_Affected], context: Context) -> Lack:
    """Describe one lack by the oldest build; the same fix may be lacking in several."""
    scheme = context.scheme
    oldest, advisory, fix = min(affected, key=lambda item: key_of(scheme, item[0].version))
    fixed = advisory.fixed_version
    published = advisory.published
    binaries = tuple(sorted({build.binary for build, _, _ in affected}))
    update_class = UpdateClass.SECURITY if cve else advisory.update_class
    offers = _offers_of(unit, binaries, fixed, scheme)
    draft = Finding(
        id="",
        tenant="",
        host="",
        cve=cve,
        package=unit.name,
        binaries=binaries,
        installed=oldest.version,
        fixed=fixed,
        fix_pending=bool(offers),
        because=Because(
            feed=advisory.feed,
            document=advisory.document,
            compared=_compared(unit, oldest, advisory),
            document_date=published.date() if published else context.dates.get(advisory.feed),
            order=order_name(scheme) if fixed else "",
        ),
        unimportant=advisory.unimportant,
        advisory=fix.id,
        update_class=update_class,
        status=_status(advisory),
        severity=advisory.urgency,
        fix_published=fix.published if fixed else None,
        note=advisory.note,
        withheld=_withheld(offers),
    )
    name = cve or advisory.id
    return Lack(
        draft_of(draft), (*cve_order(cve), unit.name, fix.id), f"{name}\0{unit.name}".encode()
    )


def _status(advisory: Advisory) -> AdvisoryStatus:
    fixed = advisory.status is AdvisoryStatus.FIXED
    return AdvisoryStatus.UNFIXED if fixed and not advisory.fixed_version else advisory.status


def _compared(unit: Unit, oldest: Build, advisory: Advisory) -> str:
    """Say it in words a person can check by hand."""
    module = f" ({oldest.module})" if oldest.module else ""
    running = " (running)" if unit.running else ""
    have = f"{unit.name}{module} {oldest.version}{running}"
    if advisory.fixed_version:
        return f"{have} < {advisory.fixed_version}"
    if advisory.status is AdvisoryStatus.WILL_NOT_FIX:
        return f"{have}, the vendor will not fix it"
    return f"{have}, no fixed version"


def _offers_of(
    unit: Unit, binaries: Sequence[str], fixed: str | None, scheme: Scheme
) -> tuple[Offer, ...]:
    """Return the offers that reach the fix."""
    if fixed is None:
        return ()
    wanted = key_of(scheme, fixed)
    return tuple(
        offer
        for offer in unit.offers
        if (unit.running or offer.binary in binaries) and key_of(scheme, offer.version) >= wanted
    )


def _withheld(offers: Sequence[Offer]) -> str:
    """Say why none of the offers is taken; empty when one of them is."""
    reasons = {offer.withheld for offer in offers}
    return "" if "" in reasons else ", ".join(sorted(reasons))
