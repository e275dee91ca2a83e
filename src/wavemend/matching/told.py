"""What a host's own repositories say, where no feed speaks: their signed advisories and CVEs. Pure.

A feed that speaks of a package and a CVE is always right, also where it says that nothing is wrong.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from wavemend.advisories import Advisory, UpdateClass, cve_order
from wavemend.findings import Because, Finding
from wavemend.hosts import Facts, PendingUpdate
from wavemend.matching.drafts import draft_of
from wavemend.matching.statements import Lack
from wavemend.matching.units import withheld
from wavemend.windows.products import DEFINITIONS

FEED = "host"
"""What stands for a feed in such findings: the host itself."""

Speaks = Callable[[PendingUpdate, str], bool]
"""Whether any feed has a word on an updated package and a CVE, or an advisory."""

Sources = Callable[[PendingUpdate], Sequence[Advisory]]
"""What feeds say of an update itself, by its name; of most nothing: they speak of packages."""


def told_lacks(facts: Facts, speaks: Speaks, order: str, sources: Sources) -> Iterator[Lack]:
    """Yield a lack for each CVE, else each advisory, that no feed's word on a package covers.

    `order`: whose order of versions the host's package manager used, in words.
    """
    for update in facts.pending:
        for cve in sorted(set(update.cves), key=lambda cve: (cve_order(cve), cve)):
            if not speaks(update, cve):
                finding = _told(update, cve, order)
                named = (item for item in sources(update) if cve in item.cves)
                said = next(named, None)
                yield _lack(finding if said is None else _said(finding, said))
        # An advisory with CVEs was told above, one by one.
        for advisory in () if update.cves else sorted(set(update.advisories)):
            if not speaks(update, advisory):
                yield _lack(_told(update, "", order, advisory))


def _told(update: PendingUpdate, cve: str, order: str, advisory: str = "") -> Finding:
    names = (advisory,) if advisory else update.advisories
    known_as = advisory or min(update.advisories, default="")
    was = f"{update.installed} < {update.candidate}" if update.installed else "is not installed"
    return Finding(
        id="",
        tenant="",
        host="",
        cve=cve,
        package=update.name,
        binaries=(update.name,),
        installed=update.installed,
        fixed=update.candidate,
        fix_pending=True,
        because=Because(
            feed=FEED,
            document=": ".join(filter(None, (update.origin, ", ".join(names)))),
            compared=f"{update.name} {was}, by the host's own repository",
            order=order,
        ),
        advisory=known_as,
        update_class=_class_of(update, cve),
        note="No feed speaks of it: the host's repository does.",
        withheld=withheld(update),
    )


def _class_of(update: PendingUpdate, cve: str) -> UpdateClass:
    if DEFINITIONS in dict(update.builds):
        return UpdateClass.DEFINITION
    return UpdateClass.SECURITY if cve or update.security else UpdateClass.BUGFIX


def _said(finding: Finding, said: Advisory) -> Finding:
    """Return a told finding with the words of a feed that knows the update by its name."""
    published = said.published
    return replace(
        finding,
        because=replace(
            finding.because,
            feed=said.feed,
            document=said.document,
            compared=f"{finding.package} is offered and not installed; it brings {said.package} "
            f"{said.fixed_version}",
            document_date=published.date() if published else None,
        ),
        advisory=said.id,
        update_class=said.update_class,
        severity=said.urgency,
        fix_published=published,
        note=said.note,
    )


def _lack(finding: Finding) -> Lack:
    cve, package, known_as = finding.cve, finding.package, finding.advisory
    return Lack(
        draft_of(finding),
        (*cve_order(cve), package, known_as),
        f"{cve or known_as}\0{package}".encode(),
    )


def unique(lacks: Iterable[Lack]) -> list[Lack]:
    """Return one lack for each subject: a package may be pending for two architectures."""
    return list({lack.subject: lack for lack in lacks}.values())
