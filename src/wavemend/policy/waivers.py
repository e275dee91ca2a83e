"""Waivers: an accepted risk, with an owner, a reason and an end. It comes back by itself.

What a waiver may hide, written down once:

- A waiver holds until its `until` and not a second longer; nobody has to do anything for the
  finding to count again. For `LAPSED_SHOWN` after that the finding says that a waiver ran out.
- Nothing is hidden: a waived finding stays in every list, in lane `ignored`, with the waiver.
- What is attacked (in KEV, by the vendor's word or by other evidence of attacks; also where no KEV
  catalogue was ever loaded) is not waived by package or advisory: whoever accepted the risk of a
  package did not know of the attack. Only a waiver that names the CVE holds; the others are shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.selectors import Selector

LAPSED_SHOWN = timedelta(days=30)
"""Long enough that the monthly report still says why a finding came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Who accepts what on which hosts, why, and until when. Declared in the fleet file.

    Of `cve`, `package` and `advisory` at least one is given; all given ones must match.
    """

    id: str
    tenant: str
    """Empty: for every tenant of the fleet (declared globally)."""
    owner: str
    """Who answers for it: a person or a role, never empty."""
    reason: str
    until: datetime
    """UTC; from this moment on the finding counts again."""
    cve: str = ""
    package: str = ""
    advisory: str = ""
    hosts: Selector | None = None
    """None: on every host of the tenant."""

    def __str__(self) -> str:
        return f"{self.owner} until {self.until:%Y-%m-%d %H:%MZ}: {self.reason}"


def waiver_for(
    waivers: Iterable[Waiver], finding: Finding, host: Host, now: datetime
) -> Waiver | None:
    """Return the waiver in force that speaks of a finding; None: there is none. Pure.

    Of several the one that names the CVE, for it holds longest against bad news; then the one that
    lasts longest; then by id.
    """
    matching = [item for item in waivers if now < item.until and covers(item, finding, host)]
    return min(matching, key=_preferred, default=None)


def lapsed_waiver_for(
    waivers: Iterable[Waiver], finding: Finding, host: Host, now: datetime
) -> Waiver | None:
    """Return the waiver that ran out last, if that was not longer ago than `LAPSED_SHOWN`."""
    matching = [
        item
        for item in waivers
        if item.until <= now < item.until + LAPSED_SHOWN and covers(item, finding, host)
    ]
    return min(matching, key=lambda item: (-item.until.timestamp(), item.id), default=None)


def covers(waiver: Waiver, finding: Finding, host: Host) -> bool:
    """Say whether a waiver speaks of this finding on this host, whatever the time. Pure.

    A waiver that names nothing covers nothing: empty is not everything.
    """
    named = (
        (waiver.cve, finding.cve),
        (waiver.package, finding.package),
        (waiver.advisory, finding.advisory),
    )
    return (
        any(asked for asked, _ in named)
        and all(asked in {"", found} for asked, found in named)
        and waiver.tenant in {"", host.tenant}
        and (waiver.hosts is None or waiver.hosts.matches(host.labels))
    )


def _preferred(waiver: Waiver) -> tuple[bool, float, str]:
    return not waiver.cve, -waiver.until.timestamp(), waiver.id
