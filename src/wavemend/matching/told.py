"""What a host's own repositories say, where no feed speaks: their signed advisories and CVEs. Pure.

A feed that speaks of a package and a CVE is always right, also where it says that nothing is wrong.
"""

from collections.abc import Callable, Iterable, Iterator

from wavemend.advisories import UpdateClass, cve_order
from wavemend.findings import Because, Finding
from wavemend.hosts import Facts, PendingUpdate
from wavemend.matching.drafts import draft_of
from wavemend.matching.statements import Lack
from wavemend.matching.units import withheld

FEED = "host"
"""What stands for a feed in such findings: the host itself."""

Speaks = Callable[[PendingUpdate, str], bool]
"""Whether any feed has a word on an updated package and a CVE, or an advisory."""


def told_lacks(facts: Facts, speaks: Speaks, order: str) -> Iterator[Lack]:
    """Yield a lack for each CVE, else each advisory, that only the host's repositories name.

    `order`: whose order of versions the host's package manager used, in words.
    """
    for update in facts.pending:
        for cve in sorted(set(update.cves), key=lambda cve: (cve_order(cve), cve)):
            if not speaks(update, cve):
                yield _lack(update, cve, order)
        # An advisory with CVEs was told above, one by one.
        for advisory in () if update.cves else sorted(set(update.advisories)):
            if not speaks(update, advisory):
                yield _lack(update, "", order, advisory)


def _lack(update: PendingUpdate, cve: str, order: str, advisory: str = "") -> Lack:
    names = (advisory,) if advisory else update.advisories
    known_as = advisory or min(update.advisories, default="")
    finding = Finding(
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
            compared=f"{update.name} {update.installed} < {update.candidate}, "
            "by the host's own repository",
            order=order,
        ),
        advisory=known_as,
        update_class=(UpdateClass.SECURITY if cve or update.security else UpdateClass.BUGFIX),
        note="No feed speaks of it: the host's repository does.",
        withheld=withheld(update),
    )
    about = cve or known_as
    return Lack(
        draft_of(finding),
        (*cve_order(cve), update.name, known_as),
        f"{about}\0{update.name}".encode(),
    )


def unique(lacks: Iterable[Lack]) -> list[Lack]:
    """Return one lack for each subject: a package may be pending for two architectures."""
    return list({lack.subject: lack for lack in lacks}.values())
