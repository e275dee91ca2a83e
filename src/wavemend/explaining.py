"""One finding in words, for a person who has not seen the code. Pure.

What it is, why it is here, how urgent it is, by when, under which rule, from which document of
which day, and what comes next. Text of feeds and hosts is raw here: escape it where it is shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wavemend.advisories import AdvisoryStatus, UpdateClass
from wavemend.findings import Finding
from wavemend.observations import Assessment, FeedDay, Ranked, subject_of
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


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One question a reader has, and the sentences that answer it."""

    question: str
    sentences: tuple[str, ...]


def explain_finding(ranked: Ranked, assessment: Assessment) -> tuple[Paragraph, ...]:
    """Return a finding in words."""
    finding, priority = ranked.finding, ranked.priority
    return (
        Paragraph("What is it?", tuple(_what(ranked))),
        Paragraph("Why here?", tuple(_why_here(finding))),
        Paragraph("How urgent is it?", tuple(_how_urgent(priority))),
        Paragraph("By when, and under which rule?", tuple(_by_when(priority))),
        Paragraph("How do we know?", tuple(_how_known(finding, assessment))),
        Paragraph("What next?", tuple(_what_next(finding, priority))),
    )


def headline(ranked: Ranked) -> str:
    """Return the finding in one line."""
    finding, priority = ranked.finding, ranked.priority
    due = f"due {priority.due:%Y-%m-%d %H:%M} UTC" if priority.due else "without a due date"
    return f"{subject_of(finding)} in {finding.package} on {finding.host}: {priority.lane}, {due}"


def _what(ranked: Ranked) -> Iterable[str]:
    finding, known = ranked.finding, ranked.vulnerability
    kind = _CLASSES[finding.update_class]
    name = subject_of(finding)
    called = finding.severity not in _NO_WORD
    said = f", which the vendor calls {finding.severity}" if called else ""
    yield f"{kind}: {name} in {finding.package}{said}."
    if known.summary:
        yield known.summary
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
    binaries = ", ".join(finding.binaries) or finding.package
    yield f"{finding.host} has {finding.package} {finding.installed} installed ({binaries})."
    order = f" in the order of {finding.because.order}" if finding.because.order else ""
    if finding.fixed:
        yield f"The vendor fixed it in {finding.fixed}."
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
        yield f"{line.name}: {line.value}. {line.text}"
    if priority.forensic:
        yield (
            "Look at the host before patching it and keep the evidence: patching destroys traces "
            "of an intruder."
        )


def _by_when(priority: Priority) -> Iterable[str]:
    if priority.due:
        yield f"By {priority.due:%Y-%m-%d %H:%M} UTC. {priority.due_reason}."
    else:
        yield f"There is no date. {priority.due_reason}."
    waiver = priority.waiver
    if waiver is not None:
        yield (
            f"Waived by {waiver.owner} until {waiver.until:%Y-%m-%d %H:%M} UTC (waiver "
            f"{waiver.id}): {waiver.reason}."
        )


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


def _what_next(finding: Finding, priority: Priority) -> Iterable[str]:
    if priority.lane is Lane.IGNORED:
        yield "Nothing: it is ignored by the rule above, and stays in the list."
        return
    if finding.update_class is UpdateClass.END_OF_LIFE:
        yield "Plan the upgrade or the replacement: no update will close this."
        return
    if finding.status in _NEXT:
        yield _NEXT[finding.status]
        return
    if finding.fix_pending:
        yield "The host's own repositories offer the fix; the next rollout of its profile takes it."
    else:
        yield (
            "The host's own repositories do not offer the fix yet: check its sources and mirrors, "
            "or whether the package is held back."
        )
