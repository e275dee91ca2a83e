"""By when a finding must be closed: every date that any rule sets, and which one governs.

The earliest governs (I23, F17); the others stay visible with their reasons. No date depends on
`now`, or it would move with every scan.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from wavemend.advisories import AdvisoryStatus, UpdateClass, Vulnerability
from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.policy.risk_profiles import RiskProfile, Sla
from wavemend.policy.severities import Clock, Severity, severity_of_word
from wavemend.policy.timelines import Timeline
from wavemend.scoring.risks import Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One finding on its host, at one moment, under one profile."""

    finding: Finding
    host: Host
    vulnerability: Vulnerability
    profile: RiskProfile
    start: datetime
    """When it was first seen: from here the days count."""
    now: datetime
    marked: bool = False
    """The operator calls this package's or advisory's functional fixes critical."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DueDate:
    """One date, and the rule that sets it, in words. Sorts by date."""

    at: datetime
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDue:
    """The earliest date a finding was ever given, while all that the operator controls is as then.

    Kept by the caller: a vendor that dates a fix anew, a feed that is gone or evidence that was
    taken back moves no date later.
    """

    due: datetime
    """UTC."""
    reason: str
    """As it was said when the date was given first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """All dates of a finding, the earliest first; the first one governs."""

    dates: tuple[DueDate, ...] = ()
    nothing: str = ""
    """What to say where no rule sets a date."""
    days: int | None = None
    """The least days that any rule allows, whenever they began; decides the lane."""
    days_rule: str = ""
    """Which rule that is."""

    @property
    def due(self) -> datetime | None:
        """The date that governs; None: there is none."""
        return self.dates[0].at if self.dates else None

    @property
    def reason(self) -> str:
        """Which rule governs, and what it is earlier than."""
        if not self.dates:
            return self.nothing
        first = self.dates[0]
        later = [item.rule for item in self.dates[1:] if item.at != first.at]
        return f"{first.rule} (earlier than {later[0]})" if later else first.rule


def security_deadlines(case: Case, risk: Risk) -> Deadlines:
    """Return every date that holds for a vulnerability."""
    profile, table = case.profile, case.profile.table
    severity, why = severity_of(case.finding, risk)
    sla = profile.sla(UpdateClass.SECURITY, severity)
    dates = []
    nothing = f"{profile.name} sets no date for it"
    allowed: list[tuple[int | None, str]] = [(risk.worst.days, f"CISA {table.name}: {risk.worst}")]
    if profile.table_governs:
        nothing = f"{table.name}: {Timeline(None, forensic=False)}"
        if risk.worst.days is not None:
            rule = f"{table.name} {table.version}: {risk.worst}, {_counted_from(case.start)}"
            dates.append(DueDate(at=case.start + timedelta(days=risk.worst.days), rule=rule))
    if sla is not None:
        days = sla.days(exposed=case.host.exposed)
        allowed.append((days, f"{sla.rule}; {severity}: {why}"))
        found = _sla_date(sla, days, case, f"; {severity}: {why}")
        if found is None:
            nothing = f"{sla.rule}: nothing was released, so no clock runs"
        else:
            dates.append(found)
    if risk.attacks:
        days = profile.attacked_days
        rule = f"Attacks are known of ({', '.join(risk.attacks)}): {days} days"
        allowed.append((days, rule))
        at = case.start + timedelta(days=days)
        dates.append(DueDate(at=at, rule=f"{rule}, {_counted_from(case.start)}"))
    dates += _of_the_catalogue(case)
    known = [(days, rule) for days, rule in allowed if days is not None]
    least, rule = min(known, key=lambda item: item[0], default=(None, allowed[0][1]))
    return Deadlines(dates=tuple(sorted(dates)), nothing=nothing, days=least, days_rule=rule)


def _of_the_catalogue(case: Case) -> list[DueDate]:
    kev = case.vulnerability.kev
    if not case.profile.kev_due_governs or kev is None or kev.due_date is None:
        return []
    return [DueDate(at=end_of(kev.due_date), rule=f"KEV's own due date, {kev.due_date}")]


def keep(dates: Deadlines, held: HeldDue | None) -> Deadlines:
    """Return the dates with the held one, where it is earlier than what would govern now."""
    if held is None or (dates.due is not None and dates.due <= held.due):
        return dates
    rule = (
        f"was due {held.due:%Y-%m-%d %H:%MZ} under {held.reason}, kept: a date does not move later "
        "by itself"
    )
    if not dates.dates and dates.nothing:
        rule += f" (now: {dates.nothing})"
    first = DueDate(at=held.due, rule=rule)
    return replace(dates, dates=(first, *dates.dates))


def functional_deadlines(case: Case) -> Deadlines:
    """Return every date that holds for an update that fixes no vulnerability.

    A vendor that does not call it critical has answered; nothing is missing that could be worse.
    """
    critical = is_critical_fix(case)
    severity = Severity.CRITICAL if critical else Severity.LOW
    sla = case.profile.sla(case.finding.update_class, severity)
    nothing = "No rule sets a date: with the next window"
    if sla is None:
        return Deadlines(nothing=nothing)
    days = sla.days(exposed=case.host.exposed)
    found = _sla_date(sla, days, case, "")
    return Deadlines(
        dates=(found,) if found else (), nothing=nothing, days=days, days_rule=sla.rule
    )


def end_of_life_deadlines(case: Case) -> Deadlines:
    """Return the last day with fixes; where that is not known, the moment it was first seen."""
    ends = case.finding.ends
    if ends is not None:
        rule = f"The vendor's last day with fixes, {ends}"
        return Deadlines(dates=(DueDate(at=end_of(ends), rule=rule),))
    if is_limited(case.finding):
        return Deadlines(nothing="The vendor still fixes it, for some uses only: no date")
    rule = f"Support has ended, the day is not known; {_counted_from(case.start)}"
    return Deadlines(dates=(DueDate(at=case.start, rule=rule),))


def is_limited(finding: Finding) -> bool:
    """Say whether an end of life is none: fixes still come, but for some uses only."""
    return finding.ends is None and finding.status is AdvisoryStatus.UNFIXED


def is_critical_fix(case: Case) -> bool:
    """Say whether a functional fix is critical: by the vendor's word, or by the operator's."""
    feed, word = case.finding.because.feed, case.finding.severity
    return case.marked or case.profile.is_critical_word(feed, word)


def severity_of(finding: Finding, risk: Risk) -> tuple[Severity, str]:
    """Return the worse of what the risk says and the vendor's own word, and which it was."""
    word = severity_of_word(finding.severity)
    if word is not None and word.rank > risk.severity.rank:
        return word, f"the vendor says {finding.severity!r}"
    return risk.severity, risk.severity_text


def end_of(day: date) -> datetime:
    """Return the last second of a day, UTC."""
    return datetime.combine(day, time(23, 59, 59), UTC)


def _counted_from(start: datetime) -> str:
    return f"counted from {start:%F %H:%MZ}"


def _sla_date(sla: Sla, days: int, case: Case, why: str) -> DueDate | None:
    """Return the date of one deadline; None: its clock does not run, for nothing was released."""
    start, said = case.start, "first seen"
    if sla.clock is Clock.RELEASE:
        if case.finding.fixed is None:
            return None
        start, said = _release(case)
    rule = f"{sla.rule}{why}; {days} days from {start:%F %H:%MZ}, {said}"
    return DueDate(at=start + timedelta(days=days), rule=rule)


def _release(case: Case) -> tuple[datetime, str]:
    """Return when the clock of a release began.

    Where the vendor gives no day, or one that has not come yet, the CVE's own publication stands
    in if it is earlier than the first sight: a fix that is not dated gets no extra time.
    """
    released = case.finding.fix_published
    if released is not None and released <= case.now:
        return released, "the vendor's release"
    published = case.vulnerability.published
    if published is not None and published < case.start:
        return published, "the CVE's publication, for the day of the release is not known"
    return case.start, "first seen, for the day of the release is not known"
