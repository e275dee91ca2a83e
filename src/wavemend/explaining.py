"""One finding in words, for a person who has not seen the code. Pure.

What it is, why it is here, how urgent it is, by when, under which rule, from which document of
which day, and what comes next. Text of feeds and hosts is raw here: escape it where it is shown.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wavemend.advisories import AdvisoryStatus, UpdateClass
from wavemend.findings import Finding
from wavemend.hosts import Host
from wavemend.observations import Assessment, FeedDay, Ranked, subject_of
from wavemend.policy.profiles import Profile, Updates
from wavemend.policy.resolving import Settings, settings_of_profile
from wavemend.scoring import Lane, Priority
from wavemend.scoring.dues import is_limited

_CLASSES = {
    UpdateClass.SECURITY: "A vulnerability",
    UpdateClass.BUGFIX: "A bug fix",
    UpdateClass.ENHANCEMENT: "An enhancement",
    UpdateClass.DEFINITION: "New signatures of a malware scanner",
    UpdateClass.DRIVER: "A driver update",
    UpdateClass.FIRMWARE: "A firmware update",
    UpdateClass.END_OF_LIFE: "An end of support",
}

_NEXT = {
    AdvisoryStatus.NEEDS_SUBSCRIPTION: "The fix is offered to paying machines only: attach a "
    "subscription, replace the package, or accept the risk with a waiver.",
    AdvisoryStatus.UNFIXED: "There is no fix yet: mitigate, replace the package, or accept the "
    "risk with a waiver. It is looked at again with every refresh of the feeds.",
    AdvisoryStatus.WILL_NOT_FIX: "The vendor will not fix it: replace the package, mitigate, or "
    "accept the risk with a waiver.",
}

_NO_WORD = frozenset({"", "not yet assigned"})
"""What Debian writes where it has not called a vulnerability anything."""


_KB = re.compile(r"KB[0-9]{5,8}")
"""A statement of this name is the update itself: the version alone tells nobody what to install."""

_TOLD_ELSEWHERE = frozenset({"What", "Because"})
"""Contributions that a list of them needs and a whole explanation says under other questions."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One question a reader has, and the sentences that answer it."""

    question: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the host stands in the fleet: what decides whether a rollout takes a fix."""

    host: Host
    profile: Profile | None
    """None: the host is unmanaged, no rollout ever changes it."""
    settings: Settings | None = None
    """What policies say of the host; None: the profile alone was asked."""


def explain_finding(
    ranked: Ranked,
    assessment: Assessment,
    standing: Standing | None = None,
    now: datetime | None = None,
) -> tuple[Paragraph, ...]:
    """Return a finding in words. `now`: the moment it is read, for dates that have passed."""
    finding, priority = ranked.finding, ranked.priority
    return (
        Paragraph("What is it?", tuple(_what(ranked))),
        Paragraph("Why here?", tuple(_why_here(finding))),
        Paragraph("How urgent is it?", tuple(_how_urgent(priority))),
        Paragraph("By when, and under which rule?", tuple(_by_when(priority, now))),
        Paragraph("How do we know?", tuple(_how_known(finding, assessment))),
        Paragraph("What next?", tuple(_what_next(finding, priority, standing, now))),
    )


def headline(ranked: Ranked, now: datetime | None = None) -> str:
    """Return the finding in one line; with `now` it says when the date has passed."""
    finding, priority = ranked.finding, ranked.priority
    due = f"due {priority.due:%Y-%m-%d %H:%M} UTC" if priority.due else "without a due date"
    late = overdue(priority.due, now)
    said = f"{_about(finding)} on {finding.host}: {priority.lane}, {due}"
    return f"{said}, {late}" if late else said


def overdue(due: datetime | None, now: datetime | None) -> str:
    """Say for how long a date has passed, e.g. `OVERDUE by 12 days`; empty where it has not."""
    if due is None or now is None or now <= due:
        return ""
    late = now - due
    number, unit = (late.days, "day") if late.days else (late.seconds // 3600, "hour")
    if not number:
        return "OVERDUE by less than an hour"
    return f"OVERDUE by {number} {unit}{'' if number == 1 else 's'}"


def _about(finding: Finding) -> str:
    """Return the subject and its package; an update of Windows is both at once."""
    name = subject_of(finding)
    return name if name == finding.package else f"{name} in {finding.package}"


def _what(ranked: Ranked) -> Iterable[str]:
    finding, known = ranked.finding, ranked.vulnerability
    kind = _CLASSES[finding.update_class]
    called = finding.severity not in _NO_WORD
    said = f", which the vendor calls {finding.severity}" if called else ""
    yield f"{kind}: {_about(finding)}{said}."
    if known.summary:
        yield whole_sentences(known.summary)
    if known.published:
        yield f"Published on {known.published:%Y-%m-%d}."
    if finding.note:
        yield finding.note


def _why_here(finding: Finding) -> Iterable[str]:
    if finding.update_class is UpdateClass.END_OF_LIFE:
        if is_limited(finding):
            yield f"{finding.host}: {finding.because.compared}."
            return
        ends = f"{finding.ends:%Y-%m-%d}" if finding.ends else "a day the feed does not name"
        yield f"{finding.host} has {finding.package or 'a release'} whose support ends on {ends}."
        return
    if not finding.installed:
        yield f"{finding.host} lacks the fix and is offered it, as {finding.fixed}."
        return
    binaries = ", ".join(finding.binaries) or finding.package
    yield f"{finding.host} has {finding.package} {finding.installed} installed ({binaries})."
    order = f" in the order of {finding.because.order}" if finding.because.order else ""
    if finding.fixed:
        update = f", which {finding.advisory} brings" if _KB.fullmatch(finding.advisory) else ""
        yield f"The vendor fixed it in {finding.fixed}{update}."
        yield f"Compared{order}: {finding.because.compared}."
        published = finding.fix_published
        if published:
            yield f"The fix was published on {published:%Y-%m-%d}."
    else:
        yield f"The vendor has no fixed version: {finding.because.compared}."
    if finding.unimportant:
        yield "The distribution says that it has no security impact in its build."


def _how_urgent(priority: Priority) -> Iterable[str]:
    flags = [word for word, is_set in (("a zero-day", priority.zero_day),) if is_set]
    if flags:
        yield f"It is {' and '.join(flags)}."
    for line in priority.contributions:
        if line.name not in _TOLD_ELSEWHERE:
            yield f"{line.name}: {line.value}. {line.text}"
    if priority.forensic:
        yield (
            "Look at the host before patching it and keep the evidence: patching destroys traces "
            "of an intruder."
        )


def whole_sentences(text: str) -> str:
    """Return a description that a feed reader cut short up to its last whole sentence."""
    if not text.endswith("…"):
        return text
    end = text.rfind(". ")
    return text[: end + 1] if end > 0 else text


def _by_when(priority: Priority, now: datetime | None) -> Iterable[str]:
    if priority.due:
        late = overdue(priority.due, now)
        passed = f" It is {late}." if late else ""
        yield f"By {priority.due:%Y-%m-%d %H:%M} UTC.{passed} {priority.due_reason}."
    else:
        yield f"There is no date. {priority.due_reason}."
    waiver = priority.waiver
    if waiver is not None:
        yield (
            f"Waived by {waiver.owner} until {waiver.until:%Y-%m-%d %H:%M} UTC (waiver "
            f"{waiver.id}): {waiver.reason.rstrip('.')}."
        )
        if now is not None and waiver.until <= now:
            yield f"That waiver ran out; the finding was not judged again yet. {_JUDGE}"


def _how_known(finding: Finding, assessment: Assessment) -> Iterable[str]:
    because = finding.because
    day = f" of {because.document_date}" if because.document_date else ""
    yield f"From feed {because.feed}, document {because.document}{day}."
    yield f"{finding.host} was looked at on {assessment.scanned_at:%Y-%m-%d %H:%M} UTC."
    yield f"Judged on {assessment.assessed_at:%Y-%m-%d %H:%M} UTC by {_days(assessment.feeds)}."


def _days(feeds: Sequence[FeedDay]) -> str:
    if not feeds:
        return "feeds whose days were not written down"
    return ", ".join(
        f"{feed.feed} of {feed.day or 'no known day'}"
        + (f" (model {feed.model})" if feed.model else "")
        + (" STALE" if feed.stale else "")
        for feed in feeds
    )


_JUDGE = "`wavemend feeds refresh` or the next scan judges it."

_OF_A_HOST = {
    "on hold on the host": "The package is on hold there, so a rollout leaves it out.",
    "not released to this host yet by the distribution": "The distribution releases it in steps "
    "and not to this host yet: it comes by itself, or is installed by hand.",
    "it would add or remove other packages": "It would add or remove other packages, which a "
    "rollout does not do: install it by hand and look at what it changes.",
    "it would remove": "A rollout removes nothing: look at what goes, then install it by hand.",
    "the host's preferences": "A pin or a default release on the host keeps it away: change "
    "/etc/apt/preferences.d, or APT::Default-Release in /etc/apt/apt.conf.d.",
    "Ubuntu Pro": "It is for subscribers: attach the host to the subscription with `pro attach`.",
}
"""What the reasons of `Finding.withheld` mean, and the way out."""


def _what_next(
    finding: Finding, priority: Priority, standing: Standing | None, now: datetime | None
) -> Iterable[str]:
    if priority.lane is Lane.IGNORED:
        waiver = priority.waiver
        if waiver is not None and now is not None and waiver.until <= now:
            yield f"It counts again: the waiver that it was ignored for ran out. {_JUDGE}"
        else:
            yield "Nothing: it is ignored by the rule above, and stays in the list."
    elif finding.update_class is UpdateClass.END_OF_LIFE:
        yield "Plan the upgrade or the replacement: no update will close this."
    elif finding.status in _NEXT:
        yield _NEXT[finding.status]
    elif not finding.fix_pending:
        yield (
            "The host's own repositories do not offer the fix yet: check its sources and mirrors, "
            "or whether the package is held back."
        )
    elif finding.withheld:
        yield from _withheld(finding)
    else:
        yield from _offered(finding, standing)


def _withheld(finding: Finding) -> Iterable[str]:
    yield (
        f"The host's own repositories offer the fix, but no rollout takes it: {finding.withheld}."
    )
    for reason, says in _OF_A_HOST.items():
        if reason in finding.withheld:
            yield says
    if "on hold" in finding.withheld:
        names = " ".join(finding.binaries) or finding.package
        if finding.because.order == "dpkg":
            yield f"`apt-mark unhold {names}` on {finding.host} ends the hold."
        else:
            yield f"End the hold (the version lock) of {names} on {finding.host}."


def _offered(finding: Finding, standing: Standing | None) -> Iterable[str]:
    offers = "The host's own repositories offer the fix"
    if standing is None:
        yield f"{offers}; the next rollout of its profile takes it."
        return
    host, profile = standing.host, standing.profile
    if profile is None:
        yield f"{offers}, but {host.name} is unmanaged: no profile fits it, so no rollout does it."
        yield "Give it a profile in the fleet file, or install the fix by hand."
        return
    settings = standing.settings or settings_of_profile(profile)
    if settings.updates is Updates.SECURITY and not finding.cve:
        yield (
            f"{offers}, but {settings.sources['updates']} takes only security updates: a rollout "
            "takes it only where its source is a security one. Else install it by hand."
        )
        return
    if settings.rules or settings.defer:
        yield (
            f"{offers}; the next rollout of its profile takes it unless a policy holds it back: "
            f"`wavemend policy test {host.name}` says which rule decides."
        )
    else:
        yield f"{offers}; the next rollout of its profile takes it."
    if host.critical:
        yield (
            f"{host.name} is critical: it changes only after a signed approval, "
            "`wavemend approve ROLLOUT`."
        )
