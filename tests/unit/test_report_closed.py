"""A finding is closed only by a second look that was judged whole and has it no more."""

from dataclasses import replace
from datetime import UTC, date, datetime

from wavemend.advisories import Vulnerability
from wavemend.findings import Because, Finding
from wavemend.hosts import Host
from wavemend.observations import Assessment, FeedDay, Ranked
from wavemend.reporting.findings import closed_by
from wavemend.scoring import prioritise

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
WEB1 = Host(name="web1", tenant="acme", address="192.0.2.1")


def ranked(ident: str, feed: str = "debian") -> Ranked:
    what = Finding(
        id=ident,
        tenant="acme",
        host="web1",
        cve="CVE-2026-1000",
        package="linux",
        binaries=("linux-image-6.1.0-1-amd64",),
        installed="6.1.1-1",
        fixed="6.1.2-1",
        fix_pending=True,
        because=Because(feed=feed, document="x.json", compared="linux 6.1.1-1 < 6.1.2-1"),
    )
    known = Vulnerability(cve=what.cve)
    return Ranked(finding=what, vulnerability=known, priority=prioritise(what, WEB1, known, NOW))


def assessment(*rows: Ranked, feeds: tuple[str, ...] = ("debian", "kev")) -> Assessment:
    return Assessment(
        host="web1",
        tenant="acme",
        scanned_at=NOW,
        assessed_at=NOW,
        intelligence="i",
        feeds=tuple(FeedDay(feed=name, day=date(2026, 3, 1)) for name in feeds),
        packages=1,
        judged=1,
        ranked=rows,
        unmatched=(),
    )


BEFORE = assessment(ranked("kernel"), ranked("zip"))


def test_what_the_second_look_has_no_more_is_closed() -> None:
    assert closed_by(BEFORE, assessment(ranked("kernel"))) == {"zip"}


def test_a_kernel_that_is_installed_and_does_not_run_closes_nothing() -> None:
    """The second look judges the running kernel, so the finding is still in it."""
    assert "kernel" not in closed_by(BEFORE, assessment(ranked("kernel")))


def test_without_a_second_look_nothing_is_closed() -> None:
    assert closed_by(BEFORE, None) == frozenset()


def test_the_silence_of_a_feed_that_went_missing_closes_nothing() -> None:
    assert closed_by(BEFORE, assessment(feeds=("kev",))) == frozenset()
    missing = FeedDay(feed="debian", day=None, stale=True)
    gone = replace(assessment(), feeds=(missing, FeedDay(feed="kev", day=date(2026, 3, 2))))
    assert closed_by(BEFORE, gone) == frozenset()
    assert closed_by(assessment(ranked("a", "ubuntu")), assessment()) == {"a"}
