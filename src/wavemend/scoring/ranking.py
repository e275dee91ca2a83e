"""The pending updates of a host, most urgent first: each as urgent as the worst that it fixes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from wavemend.advisories import UpdateClass, Vulnerability, cve_order
from wavemend.findings import (
    Because,
    Finding,
    HostFindings,
    advisory_source,
    is_kernel_image,
    is_kernel_source,
    packages_by_name,
    reaches,
)
from wavemend.hosts import Facts, Host, InstalledPackage, PendingUpdate
from wavemend.knowledge import Intelligence
from wavemend.policy.risk_profiles import DEFAULT_PROFILE, RiskProfile
from wavemend.policy.waivers import Waiver
from wavemend.scoring.contributions import Contribution, exposure_line
from wavemend.scoring.dues import HeldDue
from wavemend.scoring.lanes import LANE_ORDER, Lane
from wavemend.scoring.priorities import NONE_MARKED, Priority, prioritise
from wavemend.scoring.risks import NO_TAIL, REST

NEVER_SEEN: Mapping[str, datetime] = MappingProxyType({})
NONE_HELD: Mapping[str, HeldDue] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedUpdate:
    """One pending update of a host, with the priority of the worst that it fixes there."""

    update: PendingUpdate
    priority: Priority
    cves: tuple[str, ...]
    security: bool
    cvss: float | None = None
    """Highest base score of its CVEs; None: none has one."""
    epss: float | None = None
    """Highest probability of its CVEs; None: none has one."""
    kev: bool | None = None
    """Whether one of its CVEs is known to be exploited; None: that cannot be said."""
    severities: tuple[str, ...] = ()
    """The vendor's words for what it fixes, lower case, sorted."""
    published: datetime | None = None
    """When the newest of its fixes was published; None: no vendor says."""


def rank_updates(
    host: Host,
    facts: Facts,
    findings: HostFindings,
    intelligence: Intelligence,
    now: datetime,
    *,
    first_seen: Mapping[str, datetime] = NEVER_SEEN,
    profile: RiskProfile = DEFAULT_PROFILE,
    waivers: Sequence[Waiver] = (),
    marked: frozenset[str] = NONE_MARKED,
    held: Mapping[str, HeldDue] = NONE_HELD,
) -> tuple[RankedUpdate, ...]:
    """Rank the pending updates of a host, one row each, most urgent first. Pure.

    `first_seen`: by finding id, when an earlier look found it first; its days count from there.
    `held`: by finding id, the earliest date it was given before.

    An update is as urgent as the worst CVE it fixes on this host. Chances are not multiplied: a
    kernel with 700 CVEs would beat a known exploited one by their number alone.
    """
    fixed_by = _Fixes(findings.findings, packages_by_name(facts))
    release_known = not intelligence.releases.isdisjoint(facts.release_keys)
    rows = []
    for update in facts.pending:
        decided = [
            (
                prioritise(
                    finding,
                    host,
                    known,
                    now,
                    first_seen=first_seen.get(finding.id),
                    profile=profile,
                    waivers=waivers,
                    marked=marked,
                    held=held.get(finding.id),
                ),
                finding,
                known,
            )
            for finding in fixed_by(update)
            for known in (intelligence.vulnerability(finding.cve),)
        ]
        if decided:
            rows.append(_ranked(update, decided))
            continue
        feeds = {"release_known": release_known, "kev_known": intelligence.kev_known}
        priority = _without_finding(update, host, now, profile, **feeds)
        exploited = _kev_of_none(update, all(feeds.values()))
        rows.append(
            RankedUpdate(
                update=update, priority=priority, cves=(), security=update.security, kev=exploited
            )
        )
    return tuple(
        sorted(rows, key=lambda row: (row.priority.order, row.update.name, row.update.arch))
    )


def _kev_of_none(update: PendingUpdate, known: bool) -> bool | None:
    """Say no only where the vendor's word is there: a security update may fix a listed CVE."""
    return False if known and not update.security else None


class _Fixes:
    """Answers which findings of a host an update closes."""

    def __init__(
        self,
        findings: Iterable[Finding],
        by_name: Mapping[tuple[str, str], InstalledPackage],
    ) -> None:
        self._by_name = by_name
        self._of_source: dict[str, list[Finding]] = {}
        self._of_binary: dict[str, list[Finding]] = {}
        for finding in findings:
            self._of_source.setdefault(finding.package, []).append(finding)
            for binary in finding.binaries:
                self._of_binary.setdefault(binary, []).append(finding)

    def __call__(self, update: PendingUpdate) -> list[Finding]:
        package = self._by_name.get((update.name, update.arch))
        package = package or self._by_name.get((update.name, "all"))
        source = advisory_source(package) if package else update.name
        if is_kernel_source(source) and not is_kernel_image(update.name):
            return []  # headers and tools: they fix nothing of the running kernel
        # A vendor that speaks of installed packages names the update itself, not its source.
        names = (update.name, *(product for product, _ in update.builds))
        of_binary = (item for name in names for item in self._of_binary.get(name, ()))
        named = (*self._of_source.get(source, ()), *of_binary)
        # Where it cannot be said whether the update reaches the fix, it is counted as if it did.
        return [
            finding
            for finding in {item.id: item for item in named}.values()
            if finding.fixed is not None and reaches(update, finding, self._by_name) is not False
        ]


_Decided: TypeAlias = tuple[Priority, Finding, Vulnerability]


def _leading(decided: _Decided) -> tuple[object, ...]:
    """Sort by what an update is installed for: what it does not fix for sure leads only alone.

    An update that may not reach a fix, of a CVE whose lane is manual, is still to be installed.
    """
    priority, finding, _ = decided
    settled = priority.lane in {Lane.MANUAL, Lane.IGNORED}
    return settled, priority.order, finding.cve, finding.advisory


def _ranked(update: PendingUpdate, decided: list[_Decided]) -> RankedUpdate:
    decided.sort(key=_leading)
    first, worst, _ = decided[0]
    dues = [(item.due, item.due_reason) for item, _, _ in decided if item.due is not None]
    due, reason = min(dues, default=(None, first.due_reason))
    cves = sorted({finding.cve for _, finding, _ in decided if finding.cve}, key=cve_order)
    text = f"The worst of {len(decided)} things this update fixes, {len(cves)} of them CVEs."
    led = Contribution(
        name="Decided by", value=worst.cve or worst.advisory or worst.package, text=text
    )
    priority = replace(
        first,
        due=due,
        due_reason=reason,
        contributions=(led, *first.contributions),
        forensic=any(item.forensic for item, _, _ in decided),
        zero_day=any(item.zero_day for item, _, _ in decided),
    )
    security = update.security or any(
        finding.update_class is UpdateClass.SECURITY for _, finding, _ in decided
    )
    known = [vulnerability for _, finding, vulnerability in decided if finding.cve]
    published = [finding.fix_published for _, finding, _ in decided if finding.fix_published]
    return RankedUpdate(
        update=update,
        priority=priority,
        cves=tuple(cves),
        security=security,
        cvss=max((item.cvss.score for item in known if item.cvss), default=None),
        epss=max((item.epss.probability for item in known if item.epss), default=None),
        kev=_kev_of(known),
        severities=tuple(sorted({f.severity.lower() for _, f, _ in decided if f.severity})),
        published=max(published, default=None),
    )


def _kev_of(known: Sequence[Vulnerability]) -> bool | None:
    """Say whether one of these is known to be exploited; without a catalogue nobody can say no."""
    if any(item.kev is not None for item in known):
        return True
    return False if all(item.kev_known for item in known) else None


def _without_finding(
    update: PendingUpdate,
    host: Host,
    now: datetime,
    profile: RiskProfile,
    *,
    release_known: bool,
    kev_known: bool,
) -> Priority:
    """Place an update no finding speaks for. From a security repository, it is one still."""
    if not release_known:
        return _of_unknown_content(update, host, now, profile)
    if update.security:
        return _unknown_security(update, host, now, profile, kev_known=kev_known)
    # What the vendor says to fix no vulnerability fixes none, whatever KEV would say.
    return _plain(profile)


def _plain(profile: RiskProfile) -> Priority:
    rule = "A plain update: with the next window"
    text = "No CVE known, no security origin."
    return Priority(
        lane=Lane.ROUTINE,
        due=None,
        due_reason=rule,
        order=(LANE_ORDER[Lane.ROUTINE], REST, *NO_TAIL),
        contributions=(Contribution(name="CVE", value="none", text=text),),
        rule=rule,
        profile=profile.title,
    )


def _of_unknown_content(
    update: PendingUpdate, host: Host, now: datetime, profile: RiskProfile
) -> Priority:
    """Decide as the worst that an update may fix: the vendor's statements are not there.

    Were it a plain update, a feed that is missing would turn an emergency into a routine.
    """
    text = (
        "No advisories of this release are loaded: what this update fixes is unknown, and decided "
        "as the worst that it may be. Run `wavemend feeds refresh`."
    )
    decided = _as_unknown(update, host, now, profile, kev_known=False)
    return replace(
        decided,
        due_reason=f"No advisories of this release are loaded. {decided.due_reason}",
        contributions=(
            Contribution(name="CVE", value="unknown", text=text),
            *decided.contributions,
        ),
        rule="No advisories of this release are loaded: decided as exploited.",
    )


def _unknown_security(
    update: PendingUpdate, host: Host, now: datetime, profile: RiskProfile, *, kev_known: bool
) -> Priority:
    """Decide as for a CVE of which nothing is known, but hurry only where the internet reaches.

    Without a catalogue it may be about a listed one: then the worst case stands as it is.
    """
    said = "No CVE known, security origin."
    decided = _as_unknown(update, host, now, profile, kev_known=kev_known)
    decided = replace(
        decided,
        due_reason=f"{said} {decided.due_reason}",
        contributions=(
            Contribution(name="CVE", value="unknown", text=said),
            *decided.contributions,
        ),
        rule=said if kev_known else f"{said} {decided.rule}",
    )
    if not kev_known:
        return decided
    lane = Lane.EXPEDITED if host.exposed else Lane.ROUTINE
    return replace(decided, lane=lane, order=(LANE_ORDER[lane], *decided.order[1:]))


def _as_unknown(
    update: PendingUpdate, host: Host, now: datetime, profile: RiskProfile, *, kev_known: bool
) -> Priority:
    """Decide for a vulnerability of which nothing is known, or only that KEV has none such."""
    finding = Finding(
        id="",
        tenant=host.tenant,
        host=host.name,
        cve="",
        package=update.name,
        binaries=(update.name,),
        installed=update.installed,
        fixed=update.candidate,
        fix_pending=True,
        because=Because(feed="host", document=update.origin, compared="offered by the host"),
    )
    unknown = Vulnerability(cve="", kev_known=kev_known)
    decided = prioritise(finding, host, unknown, now, profile=profile)
    wanted = {"Timeline", "Due", "Also due"} | (set() if kev_known else {"KEV"})
    lines = (item for item in decided.contributions if item.name in wanted)
    return replace(decided, contributions=(exposure_line(host), *lines))
